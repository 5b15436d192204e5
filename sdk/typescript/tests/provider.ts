/** The OAuth provider: the client SDK discovers Deputy, and the exchange is all that is ours. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Client, DpopSession, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

import { type ProviderOptions, TokenExchangeProvider } from '../src/client.js'
import { exact } from '../src/index.js'
import { TICKET } from './servers.js'
import { ERAS, type Era, ran, say, stage } from './stage.js'

async function act(era: Era, options: Partial<ProviderOptions>): Promise<Client> {
  const resource = stage.url('tickets')
  const authProvider = new TokenExchangeProvider({
    issuer: stage.issuer,
    ...stage.identity('support'),
    subject: stage.user().subject,
    resource,
    ...options,
  })
  const mode = era === 'legacy' ? era : { pin: era }
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  await client.connect(new StreamableHTTPClientTransport(new URL(resource), { authProvider }))
  return client
}

for (const era of ERAS) {
  test(`the provider exchanges for named tools (${era})`, async () => {
    const since = ran()
    const client = await act(era, { tools: { 'tickets.get': { id: exact(4711) } } })
    assert.equal(await say(client, 'tickets.get', { id: 4711 }), TICKET)
    assert.match(await say(client, 'tickets.get', { id: 4712 }), /argument_not_permitted/)
    await client.close()
    assert.deepEqual(since(), [['tickets.get', 4711]])
  })

  test(`the provider steps up to what was named (${era})`, async () => {
    const since = ran()
    const client = await act(era, { scope: 'tickets:read', stepUp: 'tickets:notes' })
    assert.equal(await say(client, 'tickets.notes', { id: 1 }), 'handle with care')
    await client.close()
    assert.deepEqual(since(), [['tickets.notes', 1]])
  })

  test(`the provider does not step up to anything else (${era})`, async () => {
    const since = ran()
    const client = await act(era, { scope: 'tickets:read' })
    await assert.rejects(say(client, 'tickets.notes', { id: 1 }))
    assert.equal(await say(client, 'tickets.get', { id: 1 }), TICKET)
    await client.close()
    assert.deepEqual(since(), [['tickets.get', 1]])
  })

  test(`the provider binds its tokens to a key (${era})`, async () => {
    const since = ran()
    const client = await act(era, { tools: { 'tickets.get': {} }, dpop: await DpopSession.create() })
    assert.equal(await say(client, 'tickets.get', { id: 1 }), TICKET)
    await client.close()
    assert.deepEqual(since(), [['tickets.get', 1]])
  })
}

test('the credentials go to the named issuer and nowhere else', async () => {
  const since = ran()
  await assert.rejects(act('legacy', { scope: 'tickets:read', issuer: 'https://elsewhere.example/oauth2' }))
  await assert.rejects(act('legacy', { scope: 'refunds:read', resource: stage.url('refunds') + '/' }))
  assert.deepEqual(since(), [])
})

test('a provider steps up with scopes only', () => {
  const options = { issuer: stage.issuer, ...stage.identity('support'), subject: stage.user().subject }
  for (const more of [{ tools: {} }, { scope: 's', tools: {} }, {}]) {
    const want = { ...options, resource: stage.url('tickets'), stepUp: 's', ...more }
    assert.throws(() => new TokenExchangeProvider(want), TypeError)
  }
})
