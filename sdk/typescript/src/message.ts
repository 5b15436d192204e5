/** One JSON-RPC message as it came over HTTP: what cannot be read strictly is not passed on. */

import { isObject, type JsonObject, parse } from './json.js'

/** The longest message that is read before it is decided, in bytes. */
const MAX_BODY_BYTES = 4 * 1024 * 1024

const TOOLS_CALL = 'tools/call'
const NOTIFICATIONS = 'notifications/'

/**
 * What every MCP client does before and between calls. None of it reads or changes what the server guards;
 * `resources/read`, `prompts/get` and `completion/complete` do, and Deputy decides on tools only, so they
 * are closed unless the application opens them.
 */
const ALWAYS_OPEN = new Set([
  'initialize',
  'logging/setLevel',
  'ping',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'server/discover',
  'tools/list',
])

/** The request cannot be read, so it cannot be decided. */
export class Unreadable extends Error {
  override name = 'Unreadable'
}

/** A message: its id if it wants an answer, its method if it is no answer, its call if it is one. */
export interface Message {
  readonly id?: string | number
  readonly method?: string
  readonly call?: { readonly tool: string; readonly arguments: JsonObject | undefined }
}

/** Reads a body as strict JSON. Throws `Unreadable` with what is wrong. */
export async function readJson(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<unknown> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let length = 0
  try {
    for await (const piece of body) {
      length += piece.byteLength
      if (length > MAX_BODY_BYTES) {
        throw new Unreadable(`the message is larger than ${MAX_BODY_BYTES} bytes`)
      }
      text += decoder.decode(piece, { stream: true })
    }
    return parse(text + decoder.decode())
  } catch (error) {
    throw error instanceof Unreadable ? error : new Unreadable('the body is not strict JSON')
  }
}

/** Reads a message. Throws `Unreadable` with what is wrong. */
export function read(value: unknown): Message {
  if (!isObject(value) || value['jsonrpc'] !== '2.0') {
    throw new Unreadable('the body is not one JSON-RPC 2.0 message (batches are not accepted)')
  }
  const { id, method } = value
  if (!(method === undefined || typeof method === 'string') || !isId(id)) {
    throw new Unreadable('the message has no usable `method` and `id`')
  }
  const named = { ...(id == null ? {} : { id }), ...(method === undefined ? {} : { method }) }
  if (method !== TOOLS_CALL) {
    return named
  }
  if (id == null) {
    throw new Unreadable('a call needs an `id`')
  }
  return { ...named, call: callOf(value['params']) }
}

/** Whether everybody with a live token may send it, apart from calls. */
export function isOpen({ method }: Message, opened: ReadonlySet<string>): boolean {
  return (
    method === undefined || method.startsWith(NOTIFICATIONS) || ALWAYS_OPEN.has(method) || opened.has(method)
  )
}

/** Whether the headers that repeat a part of the message say what it says (MCP 2026-07-28). */
export function agrees({ method, call }: Message, headers: Headers): boolean {
  const [saidMethod, saidName] = [headers.get('mcp-method'), headers.get('mcp-name')]
  const isSameMethod = saidMethod === null || method === undefined || saidMethod === method
  return isSameMethod && (saidName === null || call === undefined || plain(saidName) === call.tool)
}

function callOf(params: unknown): NonNullable<Message['call']> {
  const { name, arguments: args } = isObject(params) ? params : {}
  if (typeof name !== 'string' || !(args === undefined || isObject(args))) {
    throw new Unreadable('a call needs a `name`, and `arguments` that are an object')
  }
  return { tool: name, arguments: args }
}

function isId(value: unknown): value is string | number | null | undefined {
  return value == null || typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value))
}

/** A value of a header, which may be wrapped as Base64. */
function plain(value: string): string {
  const wrapped = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(value)?.[1]
  return wrapped === undefined ? value : Buffer.from(wrapped, 'base64').toString()
}
