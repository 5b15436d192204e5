/**
 * What a "no" looks like to an MCP client.
 *
 * A dead token is a 401, and clients fetch a new one; a key that was not proved is a 401 too. A scope that
 * would help is a 403 that names it, and clients step up. Everything else is a tool result that says why:
 * clients drop the text of a 403, and a 401 would send them for a new token that is just as powerless.
 */

import type { Answer, Decision } from './deputy.js'
import type { DeputyUnavailable } from './errors.js'
import type { JsonObject } from './json.js'
import type { Message } from './message.js'

/** Where a denied result carries the decision for programs to read. */
export const DECISION = 'deputy/decision'
/** Seconds after which a client may try again when Deputy cannot be asked. */
const RETRY_AFTER_S = 5
/** The members of a decision that a client may see. */
const SHOWN = ['allow', 'reason', 'tool', 'argument', 'message', 'remediation', 'id'] as const

const DEAD = 'the token is not valid for this server, has expired or was revoked'

/** Why a call did not run: a sentence, and the decision if there was one. */
export interface Denial {
  readonly text: string
  readonly decision?: JsonObject
}

/** A tool result that is an error, in the shape of every MCP SDK. */
export interface DeniedResult {
  [member: string]: unknown
  content: { type: 'text'; text: string }[]
  isError: true
  _meta?: { [DECISION]: JsonObject }
}

/** The denial that Deputy decided. */
export function denied({ reason, message, id, members }: Decision): Denial {
  const tool = members['tool']
  const subject = typeof tool === 'string' ? `\`${tool}\`: ` : ''
  const shown = SHOWN.flatMap((name) => (name in members ? [[name, members[name]] as const] : []))
  return {
    text: `denied: ${subject}${message} (${reason}, decision ${id})`,
    decision: Object.fromEntries(shown),
  }
}

/** The denial for want of an answer. */
export function undecided(error: DeputyUnavailable): Denial {
  return { text: `not done, because nobody could decide whether it may be: ${error.message}` }
}

/** The denial of a call whose answer does not permit it. */
export function refused({ decision }: Answer): Denial {
  return decision === undefined ? { text: `denied: ${DEAD}` } : denied(decision)
}

/** The tool result of a call that did not run. */
export function result({ text, decision }: Denial): DeniedResult {
  const content = [{ type: 'text' as const, text }]
  return { content, isError: true, ...(decision === undefined ? {} : { _meta: { [DECISION]: decision } }) }
}

/** 401 without an error code: the request did not try (RFC 6750 section 3.1). */
export function noToken(metadata: string, scope: string): Response {
  const challenge = `Bearer resource_metadata="${metadata}"${suggested(scope)}`
  return challenged(challenge, { error: 'unauthorized' })
}

/** 401: the token is not, or no longer, good here. */
export function deadToken(metadata: string, scope: string): Response {
  const challenge = `Bearer error="invalid_token", error_description="${DEAD}", resource_metadata="${metadata}"`
  return challenged(challenge + suggested(scope), { error: 'invalid_token', error_description: DEAD })
}

/** 401 with a challenge that says what is missing: a proof of the token's key, for one. */
export function challenged(challenge: string, body: JsonObject): Response {
  return answer(401, body, { 'WWW-Authenticate': challenge })
}

/** 403 with the exact scope that cures it (RFC 6750 section 3). */
export function moreScope(scope: string, metadata: string): Response {
  const challenge = `Bearer error="insufficient_scope", scope="${scope}", resource_metadata="${metadata}"`
  return answer(403, { error: 'insufficient_scope', scope }, { 'WWW-Authenticate': challenge })
}

/** 503: Deputy could not be asked. Never a 401, or every client would fetch new tokens. */
export function noAnswer(error: DeputyUnavailable): Response {
  const body = { error: 'temporarily_unavailable', error_description: error.message }
  return answer(503, body, { 'Retry-After': String(RETRY_AFTER_S) })
}

/** The request cannot be read, so it cannot be decided. */
export function badRequest(message: string, status = 400): Response {
  return answer(status, { jsonrpc: '2.0', id: null, error: { code: -32600, message } })
}

/** The headers of a request say something else than its body (MCP 2026-07-28). */
export function disagreement({ id }: Message): Response {
  const message = 'the headers `Mcp-Method` and `Mcp-Name` do not say what the body says'
  return answer(400, { jsonrpc: '2.0', id: id ?? null, error: { code: -32020, message } })
}

/** There is no such session, or it is somebody else's: the client opens one of its own. */
export function noSession(): Response {
  const error = { code: -32001, message: 'there is no such session of this agent and person: open one' }
  return answer(404, { jsonrpc: '2.0', id: null, error })
}

/** A JSON-RPC error for a method that nobody decides about. */
export function closedMethod({ id, method }: Message): Response {
  const message =
    `\`${method ?? ''}\` is closed here: Deputy decides on tools; the server's developer can open it to ` +
    'every holder of a token with `openMethods`'
  return answer(200, { jsonrpc: '2.0', id: id ?? null, error: { code: -32601, message } })
}

/** The whole answer to a call that did not run. */
export function deniedCall({ id }: Message, denial: Denial): Response {
  const body = { ...result(denial), resultType: 'complete' }
  return answer(200, { jsonrpc: '2.0', id: id ?? null, result: body })
}

/** What a client without a better idea should ask for (RFC 6750 section 3). */
function suggested(scope: string): string {
  return scope === '' ? '' : `, scope="${scope}"`
}

/** Nobody may keep such an answer. */
function answer(status: number, body: JsonObject, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers: { 'Cache-Control': 'no-store', ...headers } })
}
