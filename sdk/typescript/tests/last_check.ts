/** Between the guard and the tool: nothing may change a call, run it twice on one answer, or skip. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { toNodeHandler } from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  InMemoryTransport,
  type McpHttpHandler,
  McpServer,
  requireBearerAuth,
} from '@modelcontextprotocol/server'
import { Client } from '@modelcontextprotocol/client'
import express from 'express'
import * as z from 'zod'

import { Deputy } from '../src/index.js'
import { Guard } from '../src/server.js'
import { type Asked, pretending, type Reply } from './pretender.js'
import { type Ran, refunds, TICKET, ticketGuard } from './servers.js'
import { callOf, message, post, resultOf, stage } from './stage.js'
import { Socket } from './world.js'

type Tool = (args: unknown, context: unknown) => unknown
type Handler = Pick<McpHttpHandler, 'fetch'>

const SOMEBODY = { clientId: 'cl_x', clientSecret: 's', timeoutMs: 30_000 }
/** Where nobody is asked. */
const NOWHERE = { ...SOMEBODY, issuer: 'https://x.example/oauth2', resource: 'https://t.example/mcp' }

const EXP = 9_999_999_999

/** Runs `use` with a Deputy that permits everything for a server on a socket; what it was asked. */
async function obliged(use: (deputy: Deputy, socket: Socket, asked: Asked[]) => Promise<void>): Promise<void> {
  const socket = await Socket.open()
  const resource = `${socket.base}/mcp`
  let iss = ''
  const reply: Reply = ({ form }) => {
    const live = { active: true, iss, aud: resource, sub: 'alice', client_id: 'cl_a', scope: 's', exp: EXP }
    const decision = { allow: true, reason: 'permitted', tool: form.get('tool') }
    return { body: form.has('tool') ? { ...live, decision } : live }
  }
  await pretending(reply, async ({ issuer, asked }) => {
    iss = issuer
    await use(new Deputy({ ...SOMEBODY, issuer, resource }), socket, asked)
  })
  socket.close()
}

/** Serves what `make` makes, guarded by a Deputy that permits everything; what that was asked. */
async function served(
  make: (deputy: Deputy) => Handler,
  use: (url: string, asked: Asked[]) => Promise<void>,
): Promise<void> {
  await obliged(async (deputy, socket, asked) => {
    const serve = toNodeHandler(make(deputy))
    socket.serve((request, response) => void serve(request, response))
    await use(deputy.resource, asked)
  })
}

function bare(): McpServer {
  return new McpServer({ name: 'Tickets', version: '1' })
}

/** A server on which something stands before every tool. */
function meddled(meddle: (tool: Tool) => Tool): McpServer {
  const server = bare()
  const plain = server as unknown as { registerTool: (...args: unknown[]) => unknown }
  const register = plain.registerTool.bind(server)
  Object.assign(server, {
    registerTool: (name: string, config: unknown, tool: Tool) => register(name, config, meddle(tool)),
  })
  return server
}

test('a call is asked about once, and nothing else is asked', async () => {
  const ran: Ran = []
  await served(
    (deputy) => ticketGuard(deputy, ran).handler(bare),
    async (url, asked) => {
      assert.equal((await resultOf(await post(url, 'token', callOf('tickets.get', { id: 1 })))).text, TICKET)
      assert.deepEqual(asked.map(({ form }) => form.get('tool')), ['tickets.get'])
      assert.deepEqual(asked.map(({ form }) => form.get('arguments')), ['{"id":1}'])
      assert.deepEqual(asked.map(({ form }) => form.get('resource')), [url])
      await post(url, 'token', message('tools/list'))
      assert.deepEqual(asked.map(({ form }) => form.get('tool')), ['tickets.get', null])
    },
  )
  assert.deepEqual(ran, [['tickets.get', 1]])
})

test('version 1 of the SDK asks once as well, wherever `express.json` stands', async () => {
  const clientInfo = { name: 't', version: '1' }
  const hello = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo }
  const era = { 'MCP-Protocol-Version': '2025-11-25' }
  for (const before of [[], [express.json()]]) {
    const ran: Ran = []
    await obliged(async (deputy, socket, asked) => {
      socket.serve(refunds(deputy, ran, ...before))
      const opening = { jsonrpc: '2.0', id: 0, method: 'initialize', params: hello }
      const opened = await post(deputy.resource, 'token', opening, era)
      const session = { ...era, 'Mcp-Session-Id': opened.headers.get('Mcp-Session-Id') ?? '' }
      await (await post(deputy.resource, 'token', callOf('refunds.export', { days: 1 }), session)).text()
      assert.deepEqual(asked.map(({ form }) => form.get('tool')), [null, 'refunds.export'])
    })
    assert.deepEqual(ran, [['refunds.export', 1]])
  }
})

test('arguments that changed after the decision do not run', async () => {
  const ran: Ran = []
  await served(
    (deputy) =>
      ticketGuard(deputy, ran).handler(() => meddled((tool) => (_, context) => tool({ id: 666 }, context))),
    async (url, asked) => {
      const { text } = await resultOf(await post(url, 'token', callOf('tickets.get', { id: 1 })))
      assert.match(text, /changed after Deputy decided/)
      assert.equal(asked.length, 1)
    },
  )
  assert.deepEqual(ran, [])
})

test('a second execution is a second question', async () => {
  const ran: Ran = []
  const twice = (tool: Tool): Tool => async (args, context) => {
    await tool(args, context)
    return tool(args, context)
  }
  await served(
    (deputy) => ticketGuard(deputy, ran).handler(() => meddled(twice)),
    async (url, asked) => {
      await (await post(url, 'token', callOf('tickets.get', { id: 1 }))).text()
      assert.equal(asked.length, 2)
      assert.notEqual(asked[0]?.form.get('call_id'), asked[1]?.form.get('call_id'))
    },
  )
  assert.equal(ran.length, 2)
})

test('a schema that makes another thing of the same arguments each time lets nothing run', async () => {
  const ran: Ran = []
  let count = 0
  const fickle = z.object({ id: z.number().transform(() => count++) })
  await served(
    (deputy) => {
      const guard = new Guard(deputy)
      guard.registerTool('fickle', { inputSchema: z.looseObject({ id: z.number() }).pipe(fickle) }, ({ id }) => {
        ran.push(['fickle', id])
        return { content: [] }
      })
      return guard.handler(bare)
    },
    async (url) => {
      const { text } = await resultOf(await post(url, 'token', callOf('fickle', { id: 1 })))
      assert.match(text, /let the schema of a tool make the same of the same arguments/)
    },
  )
  assert.deepEqual(ran, [])
})

test('a schema that makes something of the arguments that is not JSON lets nothing run', async () => {
  const ran: Ran = []
  const when = z.object({ when: z.string().transform((text) => new Date(text)) })
  await served(
    (deputy) => {
      const guard = new Guard(deputy)
      guard.registerTool('since', { inputSchema: when }, () => {
        ran.push(['since'])
        return { content: [] }
      })
      return guard.handler(bare)
    },
    async (url, asked) => {
      const { text } = await resultOf(await post(url, 'token', callOf('since', { when: '2026-01-01' })))
      assert.match(text, /convert inside the tool/)
      assert.deepEqual(asked.map(({ form }) => form.get('tool')), [null])
    },
  )
  assert.deepEqual(ran, [])
})

test('a tool that was not registered on the guard does not run', async () => {
  const ran: Ran = []
  await served(
    (deputy) =>
      ticketGuard(deputy, ran).handler(() => {
        const server = bare()
        server.registerTool('aside', {}, () => {
          ran.push(['aside'])
          return { content: [] }
        })
        return server
      }),
    async (url) => {
      const { text, isError } = await resultOf(await post(url, 'token', callOf('aside', {})))
      assert(isError)
      assert.match(text, /registers tools on the guard/)
    },
  )
  assert.deepEqual(ran, [])
})

test('a tool is registered once', () => {
  const deputy = new Deputy(NOWHERE)
  const guard = ticketGuard(deputy, [])
  assert.throws(() => {
    guard.registerTool('tickets.get', {}, () => ({ content: [] }))
  }, TypeError)
})

test('without HTTP there is no token and no call', async () => {
  const ran: Ran = []
  const deputy = new Deputy(NOWHERE)
  const [here, there] = InMemoryTransport.createLinkedPair()
  const client = new Client({ name: 'test', version: '1' })
  const server = ticketGuard(deputy, ran).attach(bare())
  await Promise.all([server.connect(here), client.connect(there)])
  const result = await client.callTool({ name: 'tickets.get', arguments: { id: 1 } })
  assert.equal(result.isError, true)
  assert.match(JSON.stringify(result.content), /no token arrived/)
  await client.close()
  assert.deepEqual(ran, [])
})

test('a server that is put together by hand decides as well, and steps clients up', async () => {
  const ran: Ran = []
  const socket = stage.socket('tickets')
  const before = socket.listener
  const guard = ticketGuard(stage.deputy('tickets'), ran)
  const auth = requireBearerAuth({ verifier: guard.verifier(), expectedResource: new URL(stage.url('tickets')) })
  const handler = createMcpHandler(() => guard.attach(bare()))
  const serve = toNodeHandler({
    fetch: async (request) => {
      const authInfo = await auth(request)
      return authInfo instanceof Response ? authInfo : handler.fetch(request, { authInfo })
    },
  })
  socket.serve((request, response) => void serve(request, response))
  try {
    const { subject, sub } = stage.user()
    const want = { resource: stage.url('tickets'), scope: 'tickets:read' }
    const { value: token } = await stage.agent().token(subject, want)
    const call = async (tool: string) => post(want.resource, token, callOf(tool, { id: 1 }))
    assert.equal((await resultOf(await call('tickets.get'))).text, TICKET)
    const challenged = await call('tickets.notes')
    assert.equal(challenged.status, 403)
    assert.match(challenged.headers.get('WWW-Authenticate') ?? '', /scope="tickets:notes"/)
    assert.match((await resultOf(await call('tickets.close'))).text, /scope_missing/)
    await stage.revokeUser(sub)
    assert.equal((await call('tickets.get')).status, 401)
  } finally {
    socket.serve(before)
  }
  assert.deepEqual(ran, [['tickets.get', 1]])
})
