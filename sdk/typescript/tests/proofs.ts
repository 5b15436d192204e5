/** Tokens that are bound to a key: the guard sends the proof along, and Deputy checks it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DpopSession } from '@modelcontextprotocol/client'

import { withExchange } from '../src/index.js'
import { TICKET } from './servers.js'
import { callOf, connect, ERAS, message, post, ran, resultOf, say, stage } from './stage.js'

const url = () => stage.url('tickets')

async function bound(dpop: DpopSession): Promise<string> {
  const agent = stage.agent('support', { dpop })
  const token = await agent.token(stage.user().subject, { resource: url(), scope: 'tickets:read' })
  assert.equal(token.type, 'DPoP')
  return token.value
}

async function ask(token: string, body: Record<string, unknown>, proof?: string): Promise<Response> {
  const shown: Record<string, string> = proof === undefined ? {} : { DPoP: proof }
  return post(url(), undefined, body, { Authorization: `DPoP ${token}`, ...shown })
}

async function isRefused(answer: Response): Promise<boolean> {
  await answer.text()
  const challenge = answer.headers.get('WWW-Authenticate') ?? ''
  return answer.status === 401 && challenge.startsWith('DPoP error=')
}

test('an agent with a key sends proofs, to Deputy and to servers', async () => {
  for (const era of ERAS) {
    const since = ran()
    const agent = stage.agent('support', { dpop: await DpopSession.create() })
    const tools = { 'tickets.get': {} }
    const exchange = withExchange(agent, stage.user().subject, { resource: url(), tools })
    const client = await connect(url(), era, exchange(fetch))
    assert.equal(await say(client, 'tickets.get', { id: 1 }), TICKET)
    assert.equal(await say(client, 'tickets.get', { id: 2 }), TICKET)
    await client.close()
    assert.deepEqual(since(), [
      ['tickets.get', 1],
      ['tickets.get', 2],
    ])
  }
})

test('a proof is checked for the call it came with', async () => {
  const since = ran()
  const [dpop, another] = [await DpopSession.create(), await DpopSession.create()]
  const token = await bound(dpop)
  const call = callOf('tickets.get', { id: 4711 })
  const request = { htm: 'POST', htu: url(), accessToken: token }
  const proof = await dpop.buildProof(request)
  assert.equal((await resultOf(await ask(token, call, proof))).text, TICKET)
  for (const bad of [
    proof,
    await another.buildProof(request),
    await dpop.buildProof({ ...request, accessToken: 'another token' }),
    await dpop.buildProof({ ...request, htu: stage.url('refunds') }),
    await dpop.buildProof({ ...request, htm: 'GET' }),
    await dpop.buildProof({ htm: 'POST', htu: url() }),
    'x',
  ]) {
    assert(await isRefused(await ask(token, call, bad)))
  }
  assert.deepEqual(since(), [['tickets.get', 4711]])
})

test('a bound token is no bearer token', async () => {
  const since = ran()
  const dpop = await DpopSession.create()
  const token = await bound(dpop)
  for (const body of [callOf('tickets.get', { id: 1 }), message('tools/list')]) {
    assert(await isRefused(await post(url(), token, body)))
    assert.equal((await ask(token, body)).status, 401)
  }
  const proof = await dpop.buildProof({ htm: 'POST', htu: url(), accessToken: token })
  assert.match(await (await ask(token, message('tools/list'), proof)).text(), /tickets\.get/)
  assert.deepEqual(since(), [])
})

test('a bearer token brings no proof', async () => {
  const since = ran()
  const dpop = await DpopSession.create()
  const { value } = await stage.agent().token(stage.user().subject, { resource: url(), scope: 'tickets:read' })
  const proof = await dpop.buildProof({ htm: 'POST', htu: url(), accessToken: value })
  for (const body of [callOf('tickets.get', { id: 1 }), message('tools/list')]) {
    assert(await isRefused(await ask(value, body, proof)))
  }
  assert.deepEqual(since(), [])
})

