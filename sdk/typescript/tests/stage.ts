/** One stage for the whole run; every test brings a person of its own. */

import { after } from 'node:test'

import { Client, type FetchLike, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

import type { ExchangeOptions, Subject } from '../src/index.js'
import { withExchange } from '../src/index.js'
import { type Ran, refunds, tickets } from './servers.js'
import { type Who, World } from './world.js'

export const MODERN = '2026-07-28'
export const ERAS = ['legacy', MODERN] as const
export type Era = (typeof ERAS)[number]

/** What ran, of all tests. */
const ranAll: Ran = []
export const stage = await World.open()
stage.socket('tickets').serve(tickets(stage.deputy('tickets'), ranAll))
stage.socket('refunds').serve(refunds(stage.deputy('refunds'), ranAll))
after(() => {
  stage.close()
})

/** What ran since this was asked. */
export function ran(): () => Ran {
  const before = ranAll.length
  return () => ranAll.slice(before)
}

/** An MCP session in either era of the protocol, over a `fetch` of its own. */
export async function connect(url: string, era: Era, fetch: FetchLike): Promise<Client> {
  const mode = era === 'legacy' ? era : { pin: era }
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode } })
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch }))
  return client
}

/** A session of an agent that acts for somebody. */
export async function act(
  who: Who,
  subject: Subject,
  era: Era,
  options: ExchangeOptions,
  world = stage,
): Promise<Client> {
  const exchange = withExchange(world.agent(who), subject, options)
  return connect(options.resource, era, exchange(fetch))
}

/** Calls a tool; what it said, marked if it is an error. */
export async function say(client: Client, name: string, args: Record<string, unknown>): Promise<string> {
  const result = await client.callTool({ name, arguments: args })
  const text = result.content.map((part) => (part.type === 'text' ? part.text : '')).join('')
  return result.isError === true ? `error: ${text}` : text
}

/** A message of the 2026-07-28 era. */
export function message(method: string, params: object = {}): Record<string, unknown> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  return { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }
}

/** A call of the 2026-07-28 era. */
export function callOf(tool: string, args: object): Record<string, unknown> {
  return message('tools/call', { name: tool, arguments: args })
}

/** One self-contained request of the 2026-07-28 era. */
export async function post(
  url: string,
  token: string | undefined,
  body: string | Record<string, unknown>,
  more: Record<string, string> = {},
): Promise<Response> {
  const said = typeof body === 'string' ? {} : body
  const { name } = (said['params'] ?? {}) as { name?: string }
  const headers = {
    Accept: 'application/json, text/event-stream',
    'Content-Type': 'application/json',
    'MCP-Protocol-Version': MODERN,
    ...(typeof said['method'] === 'string' ? { 'Mcp-Method': said['method'] } : {}),
    ...(name === undefined ? {} : { 'Mcp-Name': name }),
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    ...more,
  }
  return fetch(url, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
}

/** The text of a tool result, and whether it is an error. */
export async function resultOf(response: Response): Promise<{ text: string; isError: boolean; meta: unknown }> {
  const text = await response.text()
  // Either a JSON body or a stream with one event.
  const json = text.startsWith('{') ? text : (/^data: (.*)$/m.exec(text)?.[1] ?? '{}')
  const { result } = JSON.parse(json) as {
    result?: { content?: { text?: string }[]; isError?: boolean; _meta?: unknown }
  }
  return {
    text: result?.content?.map((part) => part.text ?? '').join('') ?? '',
    isError: result?.isError === true,
    meta: result?._meta,
  }
}
