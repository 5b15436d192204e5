/** The story of the demo: an injected instruction, hand-overs, a revocation; in both eras. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ExchangeRefused, exact, Subject } from '../src/index.js'
import { TICKET } from './servers.js'
import { act, ERAS, ran, say, stage } from './stage.js'
import { URIS } from './world.js'

for (const era of ERAS) {
  test(`the delegated call runs and the injected one is denied (${era})`, async () => {
    const { subject } = stage.user()
    const since = ran()
    const tools = { 'tickets.get': { id: exact(4711) } }
    const client = await act('support', subject, era, { resource: stage.url('tickets'), tools })
    assert.equal(await say(client, 'tickets.get', { id: 4711 }), TICKET)
    assert.match(await say(client, 'tickets.get', { id: 4712 }), /argument_not_permitted/)
    assert.match(await say(client, 'tickets.close', { id: 4711 }), /tool_not_delegated/)
    await client.close()
    assert.deepEqual(since(), [['tickets.get', 4711]])
  })

  test(`a revocation between two calls of an open session bites at once (${era})`, async () => {
    const { sub, subject } = stage.user()
    const since = ran()
    const want = { resource: stage.url('tickets'), scope: 'tickets:read' }
    const client = await act('support', subject, era, want)
    assert.equal(await say(client, 'tickets.get', { id: 1 }), TICKET)
    await stage.revokeUser(sub)
    await assert.rejects(say(client, 'tickets.get', { id: 1 }))
    await assert.rejects(stage.agent().token(subject, want), (error: unknown) => {
      assert(error instanceof ExchangeRefused)
      assert.match(error.message, /error id/)
      return true
    })
    assert.deepEqual(since(), [['tickets.get', 1]])
  })
}

test('Alice stays the subject through two sub-agents, and the injected export is denied', async () => {
  const { sub, subject } = stage.user()
  const since = ran()
  const resource = stage.url('refunds')
  const tools = { 'refunds.list': { order_id: exact('A-17') } }
  const first = await stage.agent('support').handOver(URIS.billing, subject, { [resource]: tools })
  const second = await stage
    .agent('billing')
    .handOver(URIS.ledger, Subject.handOver(first.token), { [resource]: tools })
  const client = await act('ledger', Subject.handOver(second.token), 'legacy', { resource, tools })
  const agents = 'cl_support-agent > cl_billing-agent > cl_ledger-agent'
  assert.equal(await say(client, 'refunds.list', { order_id: 'A-17' }), `${sub} > ${agents}`)
  const wide = await say(client, 'refunds.list', { order_id: '*' })
  assert.match(wide, /^error: denied: .*argument_not_permitted/)
  const exported = await say(client, 'refunds.export', { days: 30 })
  assert.match(exported, /^error: denied: `refunds.export`: .*tool_not_delegated/)
  await client.close()
  assert.deepEqual(since(), [['refunds.list', 'A-17']])
})
