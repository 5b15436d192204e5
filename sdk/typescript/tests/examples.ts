/** The example runs as it stands, as a program of its own. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

import { exact } from '../src/index.js'
import { act, ERAS, say } from './stage.js'
import { PATIENCE_MS, World } from './world.js'

test('the example runs what was delegated and denies the rest', async () => {
  const world = await World.open()
  const resource = world.url('tickets')
  world.socket('tickets').close()
  const owner = world.owner('tickets')
  const child = spawn(process.execPath, [new URL('../example/server.js', import.meta.url).pathname], {
    env: {
      ...process.env,
      DEPUTY_ISSUER: world.issuer,
      DEPUTY_CLIENT_ID: owner.clientId,
      DEPUTY_CLIENT_SECRET: owner.clientSecret,
      DEPUTY_TIMEOUT_MS: String(PATIENCE_MS),
      RESOURCE: resource,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(createInterface(child.stdout), 'line')
    for (const era of ERAS) {
      const tools = { 'tickets.get': { id: exact(4711) } }
      const client = await act('support', world.user().subject, era, { resource, tools }, world)
      assert.match(await say(client, 'tickets.get', { id: 4711 }), /Ignore previous/)
      assert.match(await say(client, 'tickets.get', { id: 4712 }), /argument_not_permitted/)
      assert.match(await say(client, 'tickets.close', { id: 4711 }), /tool_not_delegated/)
      await client.close()
    }
  } finally {
    child.kill()
    world.close()
  }
})
