/** Clients that know nothing of Deputy: what ships with five SDKs finds it, gets a token, and calls. */

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'

import { Recorder } from './recorder.js'
import { type Ran, TICKET, tickets } from './servers.js'
import { MODERN } from './stage.js'
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
// Cargo puts it beside Deputy.
const RUST: [string, string] = [join(dirname(known(process.env['DEPUTY_BIN'])), 'examples', 'rmcp-client'), '']

/** The sections of the page, and the programs whose transcripts they are. */
const CLIENTS = {
  'TypeScript, `@modelcontextprotocol/client`': () => node('v2.js'),
  'TypeScript, `@modelcontextprotocol/sdk`': () => node('v1.js'),
  'Python, `mcp`': () => python('with_mcp.py'),
  'Python, FastMCP': () => python('with_fastmcp.py'),
  'Rust, `rmcp`': () => RUST,
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

/** Runs a program, which must get its token and make its call; what went by. */
async function run([binary, file]: [string, string], more: Record<string, string>): Promise<Recorder> {
  RAN.length = 0
  const recorder = new Recorder()
  deputyFront.serve(recorder.forward(deputyFront.base, world.base))
  serverFront.serve(recorder.forward(serverFront.base, server.base))
  const env = { ...process.env, ...more, ISSUER: world.issuer, SERVER: world.url('tickets') }
  const { stdout } = await promisify(execFile)(binary, [file], { env })
  assert(stdout.includes(JSON.stringify(TICKET).slice(1, -1)), stdout)
  assert.deepEqual(RAN, [['tickets.get', 4711]])
  await recorder.settled()
  return recorder
}

const { clientId, clientSecret } = world.identity('support')
const BY_SECRET = { CLIENT_ID: clientId, CLIENT_SECRET: clientSecret }
// `rmcp` sends its secret in the body and knows no other way.
const machine = await world.machine()
const IN_BODY = { CLIENT_ID: machine.clientId, CLIENT_SECRET: machine.clientSecret }

for (const [name, program] of Object.entries(CLIENTS)) {
  test(`it discovers Deputy and calls a tool, unmodified: ${name}`, async () => {
    const [binary, file] = program()
    const recorder = await run([binary, file], binary === RUST[0] ? IN_BODY : BY_SECRET)
    const names = new Map([
      [deputyFront.base, 'https://deputy.example.com'],
      [serverFront.base, 'https://tickets.example.com'],
      [clientSecret, '(secret)'],
      [machine.clientSecret, '(secret)'],
    ])
    compare(name, recorder.transcript(names))
  })
}

test('the clients of version 2 and of Rust do so in the newer era as well', async () => {
  await run(node('v2.js'), { ...BY_SECRET, PIN: MODERN })
  await run(RUST, { ...IN_BODY, PIN: MODERN })
})

test('the providers that prove themselves by a key do so as well', async () => {
  const { clientId: keyed, key } = await world.keyed()
  for (const program of [node('v2.js'), node('v1.js'), python('with_mcp.py'), python('with_fastmcp.py')]) {
    await run(program, { CLIENT_ID: keyed, KEY: key })
  }
})

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
