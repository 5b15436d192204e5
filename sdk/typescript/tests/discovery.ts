/** Clients that know nothing of Deputy: what ships with four SDKs finds it, gets a token, and calls. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

import { Recorder } from './recorder.js'
import { type Ran, TICKET, tickets } from './servers.js'
import { known, Socket, World } from './world.js'

const ROOT = process.env['DEPUTY_ROOT'] ?? '.'
const PAGE = join(ROOT, 'docs', 'CLIENTS.md')
const node = (file: string): [string, string] => [
  process.execPath,
  new URL(`./clients/${file}`, import.meta.url).pathname,
]
const python = (file: string): [string, string] => [
  known(process.env['DEPUTY_PYTHON']),
  join(ROOT, 'sdk', 'typescript', 'tests', 'clients', file),
]

/** The sections of the page, and the programs whose transcripts they are. */
const CLIENTS = {
  'TypeScript, `@modelcontextprotocol/client`': () => node('v2.js'),
  'TypeScript, `@modelcontextprotocol/sdk`': () => node('v1.js'),
  'Python, `mcp`': () => python('with_mcp.py'),
  'Python, FastMCP': () => python('with_fastmcp.py'),
}

// Deputy and the ticket server behind recorders, at the addresses by which clients know them.
const [deputyFront, serverFront] = [await Socket.open(), await Socket.open()]
const world = await World.open(deputyFront.base, { tickets: `${serverFront.base}/mcp` })
const server = world.socket('tickets')
after(() => {
  world.close()
  deputyFront.close()
  serverFront.close()
})
const RAN: Ran = []
server.serve(tickets(world.deputy('tickets'), RAN))

for (const [name, program] of Object.entries(CLIENTS)) {
  test(`it discovers Deputy and calls a tool, unmodified: ${name}`, async () => {
    RAN.length = 0
    const recorder = new Recorder()
    deputyFront.serve(recorder.forward(deputyFront.base, world.base))
    serverFront.serve(recorder.forward(serverFront.base, server.base))
    const { clientId, clientSecret } = world.identity('support')
    const more = { CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, ISSUER: world.issuer }
    const env = { ...process.env, ...more, SERVER: world.url('tickets') }
    const [binary, file] = program()
    const { stdout } = await promisify(execFile)(binary, [file], { env })
    assert(stdout.includes(JSON.stringify(TICKET).slice(1, -1)), stdout)
    assert.deepEqual(RAN, [['tickets.get', 4711]])
    await recorder.settled()
    const names = new Map([
      [deputyFront.base, 'https://deputy.example.com'],
      [serverFront.base, 'https://tickets.example.com'],
      [clientSecret, '(secret)'],
    ])
    compare(name, recorder.transcript(names))
  })
}

/** The section of the page says what went by. With `DEPUTY_WRITE` set, it is made to. */
function compare(name: string, transcript: string): void {
  const page = readFileSync(PAGE, 'utf8')
  const [before = '', rest = ''] = page.split(`\n## ${name}\n`)
  const block = /```\n([\s\S]*?)\n```/.exec(rest)
  assert(block !== null, `docs/CLIENTS.md has no section \`${name}\` with a block`)
  if (process.env['DEPUTY_WRITE'] === undefined) {
    assert.equal(transcript, block[1], 'docs/CLIENTS.md is behind: run scripts/typescript with DEPUTY_WRITE=1')
    return
  }
  const section = rest.replace(block[0], () => `\`\`\`\n${transcript}\n\`\`\``)
  writeFileSync(PAGE, `${before}\n## ${name}\n${section}`)
}
