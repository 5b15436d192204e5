/** Deputy down, slow, or answering rubbish: nothing runs, nothing is a 401, and somebody is told. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'

import { Agent, call, Deputy, DeputyError, DeputyUnavailable, Subject, WrongServer, withExchange } from '../src/index.js'
import { pretending, type Reply } from './pretender.js'
import { type Ran, refunds, tickets } from './servers.js'
import { callOf, message, post, resultOf } from './stage.js'
import { Socket } from './world.js'

const SOMEBODY = { clientId: 'cl_x', clientSecret: 'secret-s', timeoutMs: 30_000 }
const HERE = 'https://tickets.example/mcp'
const ISSUED = { access_token: 'x', token_type: 'Bearer', expires_in: 120, scope: 's' }
const subject = Subject.accessToken('t')
const want = { resource: HERE, scope: 's' }

const FAULTS: Record<string, Reply> = {
  down: () => undefined,
  gone: () => undefined,
  slow: () => new Promise(() => undefined),
  rubbish: () => ({ body: '<html>' }),
}

for (const [fault, reply] of Object.entries(FAULTS)) {
  test(`a server stays closed and says why (${fault})`, async () => {
    const ran: Ran = []
    const timeoutMs = fault === 'slow' ? 200 : 30_000
    const [newer, older, closed] = [await Socket.open(), await Socket.open(), await Socket.open()]
    closed.close()
    await pretending(reply, async (pretender) => {
      const issuer = fault === 'gone' ? closed.base : pretender.issuer
      const deputy = (socket: Socket) =>
        new Deputy({ ...SOMEBODY, issuer, timeoutMs, resource: `${socket.base}/mcp` })
      newer.serve(tickets(deputy(newer), ran))
      older.serve(refunds(deputy(older), ran))
      for (const { base } of [newer, older]) {
        const answer = await post(`${base}/mcp`, 'token', callOf('tickets.get', { id: 1 }))
        assert.equal(answer.status, 200)
        const { text, isError } = await resultOf(answer)
        assert(isError)
        assert.match(text, /^not done, because nobody could decide.*Deputy/)
        const other = await post(`${base}/mcp`, 'token', message('tools/list'))
        assert.equal(other.status, 503)
        assert(other.headers.has('Retry-After'))
        assert(!other.headers.has('WWW-Authenticate'))
      }
    })
    newer.close()
    older.close()
    assert.deepEqual(ran, [])
  })
}

for (const [kind, body] of Object.entries({ deep: '['.repeat(60_000), long: ' '.repeat(70_000) })) {
  test(`rubbish without end is no decision (${kind})`, async () => {
    await pretending(
      () => ({ body }),
      async ({ issuer }) => {
        const deputy = new Deputy({ ...SOMEBODY, issuer, resource: HERE })
        await assert.rejects(deputy.decide('token', call('t', {})), DeputyUnavailable)
      },
    )
  })
}

test('an answer whose body never ends is given up', async () => {
  const socket = await Socket.open()
  socket.serve((_, response) => response.writeHead(200).write('{'))
  const options = { ...SOMEBODY, issuer: socket.base, resource: HERE, timeoutMs: 200 }
  await assert.rejects(new Deputy(options).introspect('token'), /did not answer within 200 ms/)
  socket.close()
})

test('every question has a call_id of its own and is never answered from memory, over connections that stay open', async () => {
  let iss = ''
  const live = { active: true, aud: HERE, sub: 'alice', client_id: 'cl_a', scope: 's', exp: 9_999_999_999 }
  const decision = { allow: true, reason: 'permitted', tool: 't' }
  await pretending(
    () => ({ body: { ...live, iss, decision } }),
    async ({ issuer, asked, connections }) => {
      iss = issuer
      const deputy = new Deputy({ ...SOMEBODY, issuer, resource: HERE })
      for (let n = 0; n < 10; n++) {
        assert.equal((await deputy.decide('token', call('t', { a: 1 }))).decision?.allow, true)
      }
      assert.equal(new Set(asked.map(({ form }) => form.get('call_id'))).size, 10)
      // The next question may come before the connection of the last one is free again.
      assert(connections() <= 2)
    },
  )
})

test('many tasks that want one token wait for one exchange, and all hear if there is none', async () => {
  let answer: (told: { body: object } | undefined) => void = () => undefined
  const held = () => new Promise<{ body: object } | undefined>((resolve) => (answer = resolve))
  await pretending(held, async ({ issuer, asked }) => {
    const agent = new Agent({ ...SOMEBODY, issuer })
    const wait = async () => {
      while (asked.length === 0) {
        await new Promise(setImmediate)
      }
    }
    const failing = Array.from({ length: 20 }, () => agent.token(subject, want))
    await wait()
    answer(undefined)
    const outcomes = await Promise.allSettled(failing)
    assert(outcomes.every(({ status }) => status === 'rejected'))
    assert.equal(asked.splice(0).length, 1)
    const waiting = Array.from({ length: 20 }, () => agent.token(subject, want))
    await wait()
    answer({ body: ISSUED })
    const tokens = await Promise.all(waiting)
    assert.equal(new Set(tokens).size, 1)
    assert.equal(asked.length, 1)
    agent.close()
    void agent.token(subject, want).catch(() => undefined)
    await assert.doesNotReject(async () => {
      while (asked.length === 1) {
        await new Promise(setImmediate)
      }
    })
  })
})

test('a secret is never sent in the clear', () => {
  for (const issuer of ['http://deputy.example/oauth2', 'ftp://x', 'deputy', 'https://u@x/', 'https://x/?a', '']) {
    assert.throws(() => new Agent({ ...SOMEBODY, issuer }), TypeError, issuer)
    assert.throws(() => new Deputy({ ...SOMEBODY, issuer, resource: HERE }), TypeError, issuer)
  }
})

test('an answer that points elsewhere is not followed', async () => {
  await pretending(
    () => ({ body: ISSUED }),
    async ({ issuer, asked }) => {
      await pretending(
        () => ({ status: 307, headers: { Location: `${issuer}/token` } }),
        async (first) => {
          const agent = new Agent({ ...SOMEBODY, issuer: first.issuer })
          await assert.rejects(agent.token(subject, want), DeputyUnavailable)
          assert.equal(asked.length, 0)
        },
      )
    },
  )
})

test('nothing secret is printed', async () => {
  const secret = Subject.accessToken('secret-t')
  await pretending(
    ({ path }) => (path.endsWith('/token') ? { body: { ...ISSUED, access_token: 'secret-x' } } : { status: 500 }),
    async ({ issuer }) => {
      const agent = new Agent({ ...SOMEBODY, issuer })
      const deputy = new Deputy({ ...SOMEBODY, issuer, resource: HERE })
      await agent.token(secret, want)
      const error: unknown = await deputy.introspect('secret-y').catch((reason: unknown) => reason)
      assert(error instanceof DeputyError)
      const printed = [agent, secret, deputy, error].map((one) => inspect(one, { depth: 9, showHidden: true }))
      assert.doesNotMatch(printed.join() + JSON.stringify([agent, secret, deputy]), /secret-/)
    },
  )
})

test('a token is not sent to another server', async () => {
  const agent = new Agent({ ...SOMEBODY, issuer: 'https://deputy.example/oauth2' })
  const exchange = withExchange(agent, subject, { resource: 'https://t.example/mcp', scope: 's' })
  const send = exchange(() => Promise.reject(new Error('sent')))
  for (const url of [
    'https://other.example/mcp',
    'http://t.example/mcp',
    'https://t.example/mcp2',
    'https://t.example/',
    'https://t.example:444/mcp',
    'https://t.example@other.example/mcp',
    'https://t.example/mcp/../admin',
    'https://t.example/mcp/%2e%2e/admin',
  ]) {
    await assert.rejects(send(url), WrongServer, url)
  }
})

test('a request that brings its own authorization is left alone', async () => {
  const agent = new Agent({ ...SOMEBODY, issuer: 'https://deputy.example/oauth2' })
  const sent: (RequestInit | undefined)[] = []
  const exchange = withExchange(agent, subject, { resource: 'https://t.example/mcp', scope: 's' })
  const send = exchange((_, init) => {
    sent.push(init)
    return Promise.resolve(new Response())
  })
  const init = { headers: { authorization: 'Bearer own' } }
  await send('https://other.example/', init)
  assert.deepEqual(sent, [init])
})

test('stepping up cannot reach named tools', () => {
  const agent = new Agent({ ...SOMEBODY, issuer: 'https://deputy.example/oauth2' })
  for (const more of [{ tools: {} }, { scope: 's', tools: {} }, {}]) {
    assert.throws(() => withExchange(agent, subject, { resource: HERE, stepUp: 's', ...more }), TypeError)
  }
})
