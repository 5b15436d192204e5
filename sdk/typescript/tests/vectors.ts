/** The cases of `tests/vectors/sdk`, which every SDK passes. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'

import { DpopSession } from '@modelcontextprotocol/client'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { McpServer as McpServer1 } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/server'

import {
  Agent,
  Deputy,
  DeputyUnavailable,
  ExchangeRefused,
  Subject,
  type Want,
  withExchange,
} from '../src/index.js'
import * as v2 from '../src/server.js'
import * as v1 from '../src/v1.js'
import { pretending, type Reply } from './pretender.js'
import { callOf, message, MODERN, post, resultOf } from './stage.js'
import { known, Socket } from './world.js'

const FOLDER = join(process.env['DEPUTY_ROOT'] ?? '.', 'tests', 'vectors', 'sdk')
const SOMEBODY = { clientId: 'cl_x', clientSecret: 'secret', timeoutMs: 30_000 }
const RESOURCE = 'https://tickets.example/mcp'

interface Told {
  readonly name: string
  readonly status?: number
  readonly answer?: object
  readonly text?: string
}

interface AnswerCase extends Told {
  readonly asked: 'call' | 'token'
  readonly live?: boolean
  readonly gets:
    | 'passes'
    | 'closed'
    | { status: number; challenge: string | null; text?: string; meta?: object | null }
}

/** What stands in a file, with `names` put in. */
function load(file: string, names: Record<string, string> = {}): unknown {
  const text = readFileSync(join(FOLDER, file), 'utf8')
  return JSON.parse(text.replace(/\{(\w+)\}/g, (whole, name: string) => names[name] ?? whole))
}

function body({ text, answer }: Told): string {
  return text ?? JSON.stringify(answer)
}

interface Answers {
  readonly closed_text: string
  readonly live: object
  readonly cases: AnswerCase[]
}

const ERA = { 'version 2': MODERN, 'version 1': '2025-11-25' }
type Serve = (deputy: Deputy, tool: () => { content: [] }) => RequestListener

/** The guards of both SDKs, each before one tool. */
const GUARDS: Record<keyof typeof ERA, Serve> = {
  'version 2': (deputy, tool) => {
    const guard = new v2.Guard(deputy)
    guard.registerTool('t', {}, tool)
    const serve = toNodeHandler(guard.handler(() => new McpServer({ name: 'T', version: '1' })))
    return (request, response) => void serve(request, response)
  },
  'version 1': (deputy, tool) => {
    const guard = new v1.Guard(deputy)
    guard.registerTool('t', {}, tool)
    return (request, response) => {
      guard.middleware(request, response, () => {
        const transport = new StreamableHTTPServerTransport({})
        void guard
          .attach(new McpServer1({ name: 'T', version: '1' }))
          .connect(transport)
          .then(() => transport.handleRequest(request, response, (request as v1.NodeRequest).body))
      })
    }
  },
}

async function get(
  socket: Socket,
  kind: AnswerCase,
  version: keyof typeof ERA,
): Promise<{ response: Response; ran: () => boolean; closed: string }> {
  const resource = `${socket.base}/mcp`
  let told: { status: number; body: string } | undefined
  let ran = false
  return pretending(
    () => told,
    async ({ issuer }) => {
      const names = { issuer, resource, metadata: `${socket.base}/.well-known/oauth-protected-resource/mcp` }
      const { live, closed_text: closed, cases } = load('answers.json', names) as Answers
      const here = known(cases.find(({ name }) => name === kind.name))
      const answer = { ...(here.live === true ? live : {}), ...here.answer }
      told = { status: here.status ?? 200, body: here.text ?? JSON.stringify(answer) }
      const tool = (): { content: [] } => {
        ran = true
        return { content: [] }
      }
      socket.serve(GUARDS[version](new Deputy({ ...SOMEBODY, issuer, resource }), tool))
      const question = kind.asked === 'call' ? callOf('t', {}) : message('tools/list')
      const era = { 'MCP-Protocol-Version': ERA[version] }
      return { response: await post(resource, 'token', question, era), ran: () => ran, closed }
    },
  )
}

for (const version of ['version 2', 'version 1'] as const) {
  test(`what a server is answered is what its client gets (${version})`, async (t) => {
    const { cases } = load('answers.json') as Answers
    const socket = await Socket.open()
    for (const kind of cases) {
      await t.test(kind.name, () => check(socket, kind, version))
    }
    socket.close()
  })
}

async function check(socket: Socket, kind: AnswerCase, version: keyof typeof ERA): Promise<void> {
  const { response, ran, closed } = await get(socket, kind, version)
  const challenge = response.headers.get('WWW-Authenticate')
  const { text, isError, meta } = await resultOf(response)
  assert.equal(ran(), kind.gets === 'passes' && kind.asked === 'call')
  if (kind.gets === 'passes') {
    assert.deepEqual([response.status, isError, challenge], [200, false, null])
  } else if (kind.gets === 'closed' && kind.asked === 'call') {
    assert.deepEqual([response.status, isError, challenge], [200, true, null])
    assert(text.startsWith(closed), text)
    assert.equal(meta, undefined)
  } else if (kind.gets === 'closed') {
    assert.deepEqual([response.status, challenge], [503, null])
    assert(response.headers.has('Retry-After'))
  } else {
    const { status, text: wanted, meta: decision } = kind.gets
    const shown = decision == null ? undefined : { 'deputy/decision': decision }
    const expected = wanted === undefined ? ['', false] : [wanted, true]
    const put = kind.gets.challenge?.replace('{metadata}', `${socket.base}/.well-known/oauth-protected-resource/mcp`)
    assert.deepEqual([response.status, challenge], [status, put ?? null])
    assert.deepEqual([text, isError], expected)
    assert.deepEqual(meta, shown)
  }
}

interface Exchanges {
  readonly cases: (Told & {
    gets:
      | 'unavailable'
      | { token: string; scope: string }
      | { refused: { error: string; description: string; error_id: string | null } }
  })[]
  readonly lives: { expires_in: number; usable_for_s: number }[]
  readonly memory: {
    name: string
    expires_in: number
    exchanges: number
    wants: (Want & { subject: string })[]
  }[]
}

const EXCHANGES = load('exchange.json', { resource: RESOURCE }) as Exchanges

test('what an agent is answered is a token, a no, or later', async (t) => {
  for (const kind of EXCHANGES.cases) {
    await t.test(kind.name, async () => {
      const told = { status: kind.status ?? 200, body: body(kind) }
      await pretending(
        () => told,
        async ({ issuer }) => {
          const agent = new Agent({ ...SOMEBODY, issuer })
          const asked = agent.token(Subject.accessToken('t'), { resource: RESOURCE, scope: 's' })
          const { gets } = kind
          if (gets === 'unavailable') {
            await assert.rejects(asked, DeputyUnavailable)
          } else if ('token' in gets) {
            const { value, scope } = await asked
            assert.deepEqual({ token: value, scope }, gets)
          } else {
            await assert.rejects(asked, (error: unknown) => {
              assert(error instanceof ExchangeRefused)
              const { error: code, description, errorId } = error
              assert.deepEqual({ error: code, description, error_id: errorId ?? null }, gets.refused)
              return true
            })
          }
        },
      )
    })
  }
})

function issued(expiresIn: number): object {
  return { access_token: 'x', token_type: 'Bearer', expires_in: expiresIn, scope: 's' }
}

test('a token is used until shortly before it expires', async () => {
  for (const life of EXCHANGES.lives) {
    await pretending(
      () => ({ body: issued(life.expires_in) }),
      async ({ issuer }) => {
        const agent = new Agent({ ...SOMEBODY, issuer })
        const before = performance.now()
        const token = await agent.token(Subject.accessToken('t'), { resource: RESOURCE, scope: 's' })
        const spent = performance.now() - before
        const usable = token.usableUntil - before - life.usable_for_s * 1000
        assert(usable >= 0 && usable <= spent, `${life.expires_in}: ${usable}`)
      },
    )
  }
})

test('a token is kept for what it was asked for', async (t) => {
  for (const { name, expires_in: expiresIn, exchanges, wants } of EXCHANGES.memory) {
    await t.test(name, async () => {
      await pretending(
        () => ({ body: issued(expiresIn) }),
        async ({ issuer, asked }) => {
          const agent = new Agent({ ...SOMEBODY, issuer })
          for (const { subject, ...want } of wants) {
            await agent.token(Subject.accessToken(subject), want)
          }
          assert.equal(asked.length, exchanges)
        },
      )
    })
  }
})

interface StepUps {
  readonly cases: {
    name: string
    scope: string
    step_up: string | null
    status: number
    challenge: string | null
    exchanges: string[]
  }[]
}

test('an agent steps up to what was named beforehand, once, and no further', async (t) => {
  for (const kind of (load('step_up.json') as StepUps).cases) {
    await t.test(kind.name, async () => {
      const challenge: Record<string, string> =
        kind.challenge === null ? {} : { 'WWW-Authenticate': kind.challenge }
      await pretending(
        ({ path }) =>
          path === '/mcp' ? { status: kind.status, headers: challenge } : { body: issued(120) },
        async ({ issuer, base, asked }) => {
          const agent = new Agent({ ...SOMEBODY, issuer })
          const want = { resource: `${base}/mcp`, scope: kind.scope }
          const options = kind.step_up === null ? want : { ...want, stepUp: kind.step_up }
          const exchange = withExchange(agent, Subject.accessToken('t'), options)
          const response = await exchange(fetch)(want.resource, { method: 'POST', body: '{}' })
          assert.equal(response.status, kind.status)
          const exchanges = asked.filter(({ path }) => path !== '/mcp')
          assert.deepEqual(exchanges.map(({ form }) => form.get('scope')), kind.exchanges)
          assert.equal(asked.length, 2 * kind.exchanges.length)
        },
      )
    })
  }
})

test('a body that flows is sent once, and the token that was turned away is not used again', async () => {
  await pretending(
    ({ path }) => (path === '/mcp' ? { status: 401 } : { body: issued(120) }),
    async ({ issuer, base, asked }) => {
      const want = { resource: `${base}/mcp`, scope: 's' }
      const send = withExchange(new Agent({ ...SOMEBODY, issuer }), Subject.accessToken('t'), want)(fetch)
      for (const calls of [1, 2]) {
        const flowing = { method: 'POST', body: new Blob(['{}']).stream(), duplex: 'half' } as RequestInit
        assert.equal((await send(want.resource, flowing)).status, 401)
        assert.equal(asked.filter(({ path }) => path === '/mcp').length, calls)
        assert.equal(asked.length, 2 * calls)
      }
    },
  )
})

interface Nonces {
  readonly cases: {
    name: string
    at: 'server' | 'token'
    calls: number
    answers: { status: number; challenge?: string; nonce?: string; error?: string }[]
    nonces: (string | null)[]
    exchanges: string[]
    ends: number | 'unavailable'
  }[]
}

interface Proof {
  readonly jti: string
  readonly htu: string
  readonly nonce?: string
}

/** A token endpoint and a server, one of which answers as a case of `dpop.json` says. */
function wanting(kind: Nonces['cases'][number], proofs: Proof[], exchanges: string[]): Reply {
  const at = kind.at === 'server' ? '/mcp' : '/oauth2/token'
  return ({ path, form, proof }) => {
    let answer: Nonces['cases'][number]['answers'][number] = { status: 200 }
    if (path === at) {
      answer = kind.answers[Math.min(proofs.length, kind.answers.length - 1)] ?? answer
      const claims = Buffer.from(proof?.split('.')[1] ?? '', 'base64url').toString()
      proofs.push(JSON.parse(claims) as Proof)
    }
    const { status, challenge, nonce, error } = answer
    const headers: Record<string, string> = {
      ...(nonce === undefined ? {} : { 'DPoP-Nonce': nonce }),
      ...(challenge === undefined ? {} : { 'WWW-Authenticate': challenge }),
    }
    if (path === '/mcp' || status !== 200) {
      return { status, headers, body: { error } }
    }
    exchanges.push(form.get('scope') ?? '')
    return { headers, body: { ...issued(120), token_type: 'DPoP' } }
  }
}

test('an agent makes its proofs with the nonces that it is given', async (t) => {
  for (const kind of (load('dpop.json') as Nonces).cases) {
    await t.test(kind.name, async () => {
      const [proofs, exchanges]: [Proof[], string[]] = [[], []]
      await pretending(wanting(kind, proofs, exchanges), async ({ issuer, base }) => {
        const agent = new Agent({ ...SOMEBODY, issuer, dpop: await DpopSession.create() })
        const want = { resource: `${base}/mcp`, scope: 's', stepUp: 'w' }
        const send = withExchange(agent, Subject.accessToken('t'), want)(fetch)
        for (let calls = 0; calls < kind.calls; calls += 1) {
          const answer = send(want.resource, { method: 'POST', body: '{}' })
          if (kind.ends === 'unavailable') {
            await assert.rejects(answer, DeputyUnavailable)
          } else {
            assert.equal((await answer).status, kind.ends)
          }
        }
      })
      assert.deepEqual(
        proofs.map(({ nonce }) => nonce ?? null),
        kind.nonces,
      )
      assert.deepEqual(exchanges, kind.exchanges)
      assert.equal(new Set(proofs.map(({ jti }) => jti)).size, proofs.length)
    })
  }
})
