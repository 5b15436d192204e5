/** The example and the programs of the README run as they stand, each as a program of its own. */

import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { exact } from '../src/index.js'
import { act, ERAS, say } from './stage.js'
import { PATIENCE_MS, type Place, World } from './world.js'

/** A program that is built beside the tests. */
function built(path: string): string {
  return new URL(`../${path}`, import.meta.url).pathname
}

/** Runs a server in the place of one of the world's until `use` is done. */
async function serving(
  world: World,
  place: Place,
  program: string,
  env: Record<string, string>,
  use: () => Promise<void>,
): Promise<void> {
  world.socket(place).close()
  const child = spawn(process.execPath, [program], { env: { ...process.env, ...env }, stdio: 'inherit' })
  try {
    await listening(child, Number(new URL(world.url(place)).port))
    await use()
  } finally {
    child.kill()
  }
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  while (child.exitCode === null) {
    const connected = await new Promise<boolean>((resolve) => {
      const socket = createConnection(port, '127.0.0.1')
      socket.on('connect', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => {
        resolve(false)
      })
    })
    if (connected) {
      return
    }
  }
  throw new Error('the server did not start')
}

test('the example runs what was delegated and denies the rest', async () => {
  const world = await World.open()
  const resource = world.url('tickets')
  const owner = world.owner('tickets')
  const env = {
    DEPUTY_ISSUER: world.issuer,
    DEPUTY_CLIENT_ID: owner.clientId,
    DEPUTY_CLIENT_SECRET: owner.clientSecret,
    DEPUTY_TIMEOUT_MS: String(PATIENCE_MS),
    RESOURCE: resource,
  }
  await serving(world, 'tickets', built('example/server.js'), env, async () => {
    for (const era of ERAS) {
      const tools = { 'tickets.get': { id: exact(4711) } }
      const client = await act('support', world.user().subject, era, { resource, tools }, world)
      assert.match(await say(client, 'tickets.get', { id: 4711 }), /Ignore previous/)
      assert.match(await say(client, 'tickets.get', { id: 4712 }), /argument_not_permitted/)
      assert.match(await say(client, 'tickets.close', { id: 4711 }), /tool_not_delegated/)
      await client.close()
    }
  }).finally(() => {
    world.close()
  })
})

/** A program of the README, at the addresses of this world, and patient. */
function moved(world: World, name: string): string {
  const port = (place: Place) => new URL(world.url(place)).port
  const here: Record<string, string> = {
    'http://127.0.0.1:8420': world.base,
    '9000': port('tickets'),
    '9001': port('refunds'),
    'clientId:': `timeoutMs: ${PATIENCE_MS}, clientId:`,
  }
  const page = readFileSync(built(`readme/${name}.js`), 'utf8')
  const text = page.replace(/http:\/\/127\.0\.0\.1:8420|900[01]|clientId:/g, (found) => here[found] ?? found)
  const path = built(`readme/${name}.here.js`)
  writeFileSync(path, text)
  return path
}

test('the programs of the README do what it says', async () => {
  const world = await World.open()
  const alice = world.user()
  const secret = (place: Place) => ({ SECRET: world.owner(place).clientSecret })
  try {
    await serving(world, 'tickets', moved(world, 'server'), secret('tickets'), async () => {
      const env = { ...process.env, SECRET: world.identity('support').clientSecret, ALICE: alice.token }
      const { stdout } = await promisify(execFile)(process.execPath, [moved(world, 'agent')], { env })
      const [first, second] = stdout.split('\n')
      assert(first?.includes(`ticket 4711, for ${alice.sub}`), stdout)
      assert(second?.includes('argument_not_permitted'), stdout)
    })
    await serving(world, 'refunds', moved(world, 'v1-server'), secret('refunds'), async () => {
      const want = { resource: world.url('refunds'), scope: 'refunds:read' }
      const client = await act('support', alice.subject, 'legacy', want, world)
      const said = await say(client, 'refunds.list', { order_id: 'A-17' })
      assert.equal(said, `refunds of A-17, for ${alice.sub}`)
      await client.close()
    })
  } finally {
    world.close()
  }
})
