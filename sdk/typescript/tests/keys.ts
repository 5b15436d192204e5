/** Clients that prove themselves with a key: `private_key_jwt` at a real Deputy. */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'

import { Agent, Deputy, DeputyUnavailable, ExchangeRefused, PrivateKey, Subject } from '../src/index.js'
import { stage } from './stage.js'
import { PATIENCE_MS } from './world.js'

const { issuer } = stage

test('an agent and a server prove themselves with a key', async () => {
  const resource = stage.url('tickets')
  const tools = { 'tickets.get': {} }
  const { sub, subject } = stage.user()
  for (const kind of ['ES256', 'EdDSA'] as const) {
    const { clientId, uri, mine, another } = await stage.proved(kind)
    const as = (clientSecret: PrivateKey) => ({ issuer, clientId, clientSecret, timeoutMs: PATIENCE_MS })
    const passed = await stage.agent().handOver(uri, subject, { [resource]: tools })
    const handed = Subject.handOver(passed.token)
    await assert.rejects(new Agent(as(another)).token(handed, { resource, tools }), (error) => {
      return error instanceof ExchangeRefused && error.error === 'invalid_client'
    })
    const { value } = await new Agent(as(mine)).token(handed, { resource, tools })
    const { claims } = await stage.deputy('tickets').introspect(value)
    assert.equal(claims?.sub, sub)
    assert.equal(claims.client_id, clientId)
    // Deputy knows who asks, every time: an assertion works once. The token is for another server.
    const server = new Deputy({ ...as(mine), resource })
    for (let asked = 0; asked < 2; asked++) {
      assert.equal((await server.introspect(value)).live, false)
    }
    const unknown = new Deputy({ ...as(another), resource })
    await assert.rejects(unknown.introspect(value), (error) => {
      return error instanceof DeputyUnavailable && error.message.includes('registered key')
    })
  }
})

test('other keys are refused', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  for (const key of [rsa.privateKey, other.privateKey, other.publicKey]) {
    assert.throws(() => new PrivateKey(key, 'k1'), /P-256 and Ed25519/)
  }
})
