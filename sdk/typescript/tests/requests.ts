/** What goes over the wire between a client, a server and Deputy: once per call, and never open. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as Transport1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

import { exact, Subject, type Want, withExchange } from '../src/index.js'
import { TICKET } from './servers.js'
import { act, callOf, message, post, ran, resultOf, say, stage } from './stage.js'
import { URIS } from './world.js'

const MAX_BODY_BYTES = 4 * 1024 * 1024

async function tokenFor(subject: Subject, want: Omit<Want, 'resource'>): Promise<string> {
  return (await stage.agent().token(subject, { resource: stage.url('tickets'), ...want })).value
}

async function aToken(): Promise<string> {
  return tokenFor(stage.user().subject, { scope: 'tickets:read' })
}

test('without a token there is a challenge, and metadata', async () => {
  for (const place of ['tickets', 'refunds'] as const) {
    const answer = await post(stage.url(place), undefined, callOf('x', {}))
    assert.equal(answer.status, 401)
    const challenge = answer.headers.get('WWW-Authenticate') ?? ''
    assert.doesNotMatch(challenge, /error=/)
    const metadata = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? ''
    assert.deepEqual(await (await fetch(metadata)).json(), {
      resource: stage.url(place),
      authorization_servers: [stage.issuer],
      bearer_methods_supported: ['header'],
      scopes_supported: [`${place}:read`],
    })
  }
})

test('a token for another server is a 401', async () => {
  const since = ran()
  const token = await aToken()
  const call = callOf('refunds.list', { order_id: 'A-17' })
  const answer = await post(stage.url('refunds'), token, call)
  assert.equal(answer.status, 401)
  assert.match(answer.headers.get('WWW-Authenticate') ?? '', /error="invalid_token"/)
  assert.deepEqual(since(), [])
})

test('a hand-over is good at no server', async () => {
  const since = ran()
  const resource = stage.url('refunds')
  const { subject } = stage.user()
  const passed = await stage.agent().handOver(URIS.billing, subject, { [resource]: { 'refunds.list': {} } })
  const answer = await post(resource, passed.token, callOf('refunds.list', { order_id: 'A-17' }))
  assert.equal(answer.status, 401)
  assert.deepEqual(since(), [])
})

test('a contextual denial is a result and never a 401', async () => {
  const since = ran()
  const token = await tokenFor(stage.user().subject, { tools: { 'tickets.get': { id: exact(1) } } })
  const answer = await post(stage.url('tickets'), token, callOf('tickets.get', { id: 2 }))
  assert.equal(answer.status, 200)
  const { isError, meta } = await resultOf(answer)
  assert(isError)
  const decision = (meta as Record<string, Record<string, unknown>>)['deputy/decision']
  assert.equal(decision?.['reason'], 'argument_not_permitted')
  assert.deepEqual(since(), [])
})

test('headers that disagree with the body run nothing', async () => {
  const since = ran()
  const token = await aToken()
  const disagreeing: Record<string, string>[] = [
    { 'Mcp-Name': 'tickets.close' },
    { 'Mcp-Method': 'tools/list' },
    { 'Mcp-Name': `=?base64?${Buffer.from('tickets.close').toString('base64')}?=` },
    { 'Mcp-Name': '' },
  ]
  for (const headers of disagreeing) {
    for (const place of ['tickets', 'refunds'] as const) {
      // The older SDK knows no such headers; the guard before it does.
      const known = place === 'tickets' ? token : await refundToken()
      const answer = await post(stage.url(place), known, callOf('tickets.get', { id: 1 }), headers)
      assert.equal(answer.status, 400, JSON.stringify(headers))
    }
  }
  assert.deepEqual(since(), [])
})

async function refundToken(): Promise<string> {
  const want = { resource: stage.url('refunds'), scope: 'refunds:read' }
  return (await stage.agent().token(stage.user().subject, want)).value
}

const UNREADABLE = [
  '',
  '[]',
  'null',
  '{',
  '[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tickets.get"}}]',
  '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/list","m\\u0065thod":"tools/call"}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"id":1,"id":2}}}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"id":NaN}}',
  '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"tickets.get"}}',
  '{"jsonrpc":"2.0","id":true,"method":"tools/call","params":{"name":"tickets.get"}}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[1]}}',
  '['.repeat(100_000),
]

test('a message that cannot be read is not passed on', async () => {
  const since = ran()
  const [token, refunds] = [await aToken(), await refundToken()]
  for (const body of UNREADABLE) {
    assert.equal((await post(stage.url('tickets'), token, body)).status, 400, body.slice(0, 80))
    assert.equal((await post(stage.url('refunds'), refunds, body)).status, 400, body.slice(0, 80))
  }
  const invalid = new Uint8Array([0xff, 0xfe])
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' }
  const answer = await fetch(stage.url('tickets'), { method: 'POST', headers, body: invalid })
  assert.equal(answer.status, 400)
  assert.deepEqual(since(), [])
})

test('a message beyond the bound is refused', async () => {
  const since = ran()
  const call = callOf('tickets.get', { id: 1, more: 'x'.repeat(MAX_BODY_BYTES) })
  const { status } = await post(stage.url('tickets'), await aToken(), call)
  // The adapter of the SDK, which stands before the guard, has the same bound.
  assert.equal(status, 413)
  assert.equal((await post(stage.url('refunds'), await refundToken(), call)).status, 400)
  assert.deepEqual(since(), [])
})

test('anything but one bearer token is no token', async () => {
  const since = ran()
  const token = await aToken()
  for (const header of [
    '',
    'Bearer',
    'Bearer  x',
    'Basic eDp5',
    'Bearer a b',
    'x',
    `Bearer ${token}, Bearer ${token}`,
    `DPoP ${token}`,
    `Bearer ${token}${'x'.repeat(8192)}`,
  ]) {
    const call = callOf('tickets.get', { id: 1 })
    const answer = await post(stage.url('tickets'), undefined, call, { Authorization: header })
    assert.equal(answer.status, 401, header.slice(0, 80))
  }
  assert.deepEqual(since(), [])
})

test('methods that nobody decides about are closed', async () => {
  const answer = await post(stage.url('tickets'), await aToken(), message('resources/read', { uri: 'x://y' }))
  const { error } = (await answer.json()) as { error: { code: number; message: string } }
  assert.equal(error.code, -32601)
  assert.match(error.message, /openMethods/)
})

test('the decision is about what the tool receives', async () => {
  const since = ran()
  const limited = { 'tickets.search': { text: exact('refund'), limit: exact(10) } }
  const token = await tokenFor(stage.user().subject, { tools: limited })
  const search = async (args: object) =>
    resultOf(await post(stage.url('tickets'), token, callOf('tickets.search', args)))
  // The schema trims the text, fills in the limit, and drops what it does not know.
  assert.equal((await search({ text: ' refund ' })).text, 'none')
  assert.equal((await search({ text: 'refund', limit: 10, more: true })).text, 'none')
  assert.match((await search({ text: 'refund', limit: 100 })).text, /argument_not_permitted/)
  assert.match((await search({ text: 'all' })).text, /argument_not_permitted/)
  const expected = ['tickets.search', 'refund', 10]
  assert.deepEqual(since(), [expected, expected])
})

test('what the schema turns away does not run, and its holder needs a live token to hear so', async () => {
  const since = ran()
  const { sub, subject } = stage.user()
  const token = await tokenFor(subject, { scope: 'tickets:read' })
  for (const args of [{ id: '1' }, { id: null }, { id: [1] }, { id: 1.5 }, {}]) {
    const { isError } = await resultOf(await post(stage.url('tickets'), token, callOf('tickets.get', args)))
    assert(isError, JSON.stringify(args))
  }
  await stage.revokeUser(sub)
  assert.equal((await post(stage.url('tickets'), token, callOf('tickets.get', {}))).status, 401)
  assert.deepEqual(since(), [])
})

test('nothing is open beside the address of the server', async () => {
  for (const path of ['/elsewhere', '/MCP', '/%6dcp', '/mcp/more', '/']) {
    // Express takes `/MCP` for `/mcp`: the guard before it must not take it for something else.
    const older = stage.url('refunds').replace('/mcp', path)
    assert.equal((await post(older, undefined, message('tools/list'))).status, 401, path)
    const newer = stage.url('tickets').replace('/mcp', path)
    assert.equal((await post(newer, await aToken(), callOf('tickets.get', { id: 1 }))).status, 404, path)
  }
})

test('a session of one agent and person is not continued by another', async () => {
  const since = ran()
  const url = stage.url('refunds')
  const [hers, his] = [await refundToken(), await refundToken()]
  const send = async (token: string, body: object, session?: string) =>
    fetch(url, {
      method: 'POST',
      headers: {
        Accept: 'application/json, text/event-stream',
        'Content-Type': 'application/json',
        Authorization: `Bearer ${token}`,
        ...(session === undefined ? {} : { 'Mcp-Session-Id': session }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', ...body }),
    })
  const clientInfo = { name: 'test', version: '1' }
  const hello = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }
  const opened = await send(hers, { id: 0, method: 'initialize', params: hello })
  const session = opened.headers.get('Mcp-Session-Id') ?? ''
  assert.notEqual(session, '')
  const call = { id: 2, method: 'tools/call', params: { name: 'refunds.list', arguments: { order_id: 'A-17' } } }
  assert.equal((await send(his, call, session)).status, 404)
  assert.equal((await send(hers, call, 'made-up')).status, 404)
  const stream = { Accept: 'text/event-stream', Authorization: `Bearer ${his}`, 'Mcp-Session-Id': session }
  assert.equal((await fetch(url, { headers: stream })).status, 404)
  assert.equal((await fetch(url, { method: 'DELETE', headers: stream })).status, 404)
  assert.deepEqual(since(), [])
  assert.equal((await send(hers, call, session)).status, 200)
  assert.deepEqual(since(), [['refunds.list', 'A-17']])
})

test('a scope that was named beforehand is added when it is asked for', async () => {
  const since = ran()
  const want = { resource: stage.url('tickets'), scope: 'tickets:read', stepUp: 'tickets:notes' }
  const client = await act('support', stage.user().subject, 'legacy', want)
  assert.equal(await say(client, 'tickets.notes', { id: 1 }), 'handle with care')
  assert.equal(await say(client, 'tickets.get', { id: 1 }), TICKET)
  await client.close()
  assert.deepEqual(since(), [
    ['tickets.notes', 1],
    ['tickets.get', 1],
  ])
})

test('a scope that was not named is not asked for', async () => {
  const since = ran()
  const want = { resource: stage.url('tickets'), scope: 'tickets:read', stepUp: 'tickets:write' }
  const client = await act('support', stage.user().subject, 'legacy', want)
  await assert.rejects(say(client, 'tickets.notes', { id: 1 }))
  assert.match(await say(client, 'tickets.close', { id: 1 }), /^error: denied/)
  await client.close()
  assert.deepEqual(since(), [])
})

test('the challenge names exactly the scope', async () => {
  const answer = await post(stage.url('tickets'), await aToken(), callOf('tickets.notes', { id: 1 }))
  assert.equal(answer.status, 403)
  assert.match(answer.headers.get('WWW-Authenticate') ?? '', /scope="tickets:notes"/)
})

test('stepping up reaches no tool that lets data out', async () => {
  const since = ran()
  const want = { resource: stage.url('refunds'), scope: 'refunds:read', stepUp: 'refunds:write' }
  const client = await act('support', stage.user().subject, 'legacy', want)
  assert.match(await say(client, 'refunds.export', { days: 30 }), /^error: denied: .*tool_not_delegated/)
  await client.close()
  assert.deepEqual(since(), [])
})

test('a client on version 1 of the SDK takes the exchange as its `fetch`', async () => {
  const since = ran()
  const { sub, subject } = stage.user()
  const resource = stage.url('refunds')
  const tools = { 'refunds.list': { order_id: exact('A-17') } }
  const exchange = withExchange(stage.agent(), subject, { resource, tools })
  const client = new Client1({ name: 'test', version: '1' })
  await client.connect(new Transport1(new URL(resource), { fetch: exchange(fetch) }))
  const call = async (order: string) =>
    JSON.stringify(await client.callTool({ name: 'refunds.list', arguments: { order_id: order } }))
  assert((await call('A-17')).includes(`${sub} > cl_support-agent`))
  assert.match(await call('*'), /"isError":true.*argument_not_permitted|argument_not_permitted.*"isError":true/)
  await client.close()
  assert.deepEqual(since(), [['refunds.list', 'A-17']])
})
