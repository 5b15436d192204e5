/**
 * The gate before a server: asks Deputy once for every request, and passes on what may pass.
 *
 * A `tools/call` is asked about with its tool and with the arguments that the tool will receive, everything
 * else with the token alone. The answer goes with the request as a ticket, which the last check before the
 * tool finds, so that nobody has to ask again. Nothing here knows an MCP SDK.
 */

import { call, type Answer, type Call, type Claims, type Deputy, permits, type Proof } from './deputy.js'
import * as denial from './denial.js'
import { DeputyUnavailable } from './errors.js'
import { agrees, isOpen, type Message, read, Unreadable } from './message.js'

/** The longest token that is passed on, in characters: Deputy's are at most 4 KiB. Proofs likewise. */
const MAX_TOKEN_LENGTH = 8 * 1024
/** Sessions that are remembered; beyond it the one unused for longest is closed. */
const MAX_SESSIONS = 10_000
/** RFC 6750 section 2.1. */
const CREDENTIALS = /^(bearer|dpop) ([A-Za-z0-9._~+/-]+=*)$/i
const SESSION = 'mcp-session-id'
/** For a token that is bound to a key and comes without a proof, or the reverse. */
const UNPROVED = 'DPoP error="invalid_dpop_proof", error_description="send a proof of the token\'s key"'
/** For a tool that Deputy knows and this server does not. */
const NO_SUCH_TOOL: denial.Denial = {
  text: 'denied: this server guards no such tool; its developer registers tools on the guard',
}
const UNSAYABLE: denial.Denial = {
  text:
    'denied: the schema of this tool makes something of the arguments that is not JSON, so nobody can ' +
    'decide about it; let it check only, and convert inside the tool',
}

/** What a gate lets through without a decision on it, and what it says of itself. */
export interface GateOptions {
  /** JSON-RPC methods beside tools that everybody with a live token may use: `resources/read`, … */
  readonly openMethods?: readonly string[]
  /** What a client without a token should ask for: clients that know nothing of Deputy ask for that. */
  readonly scopes?: readonly string[]
}

/** One HTTP request as the gate sees it. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly headers: Headers
  /** The body, read as JSON. Throws `Unreadable`. */
  read(): Promise<unknown>
}

/** What was asked for one request, and what Deputy said. Good for one execution. */
export interface Ticket {
  readonly call: Call
  readonly answer: Answer
  used: boolean
}

/** A request that may pass: whose it is, the body as it was read, and the ticket of a call. */
export interface Admitted {
  readonly token: string
  readonly claims: Claims
  readonly body: unknown
  readonly ticket?: Ticket
}

/** What a tool makes of arguments: those that it will receive, or nothing if it does not take them. */
export type Validate = (args: unknown) => Promise<{ readonly value: unknown } | undefined>

interface Shown {
  readonly token: string
  readonly proof: Proof | undefined
}

/** Closed: without a live token for this server nothing passes. */
export class Gate {
  readonly #deputy: Deputy
  readonly #tools: ReadonlyMap<string, Validate>
  readonly #opened: ReadonlySet<string>
  readonly #scope: string
  /** The principals of sessions that are open, by session id. */
  readonly #sessions = new Map<string, string>()
  /** Where the metadata of the server is (RFC 9728 section 3.1). */
  readonly metadata: URL
  /** The path of the server. */
  readonly path: string

  constructor(deputy: Deputy, tools: ReadonlyMap<string, Validate>, options: GateOptions = {}) {
    this.#deputy = deputy
    this.#tools = tools
    this.#opened = new Set(options.openMethods)
    this.#scope = (options.scopes ?? []).join(' ')
    const resource = new URL(deputy.resource)
    this.path = trimmed(resource.pathname)
    this.metadata = new URL(`/.well-known/oauth-protected-resource${this.path}`, resource.origin)
  }

  /** The metadata of the server if this is where it is asked for (RFC 9728 section 2). */
  document({ method, path }: Pick<Seen, 'method' | 'path'>): Response | undefined {
    if (trimmed(path) !== this.metadata.pathname || !(method === 'GET' || method === 'HEAD')) {
      return undefined
    }
    const document = {
      resource: this.#deputy.resource,
      authorization_servers: [this.#deputy.issuer],
      bearer_methods_supported: ['header'],
      ...(this.#scope === '' ? {} : { scopes_supported: this.#scope.split(' ') }),
    }
    return Response.json(document, { headers: { 'Access-Control-Allow-Origin': '*' } })
  }

  /** Whether this is a request to the server itself. */
  isHere(path: string): boolean {
    return trimmed(path) === this.path
  }

  /** The request if it may pass; otherwise the answer to it. */
  async admit(seen: Seen): Promise<Response | Admitted> {
    const shown = presented(seen)
    if (shown === undefined) {
      return denial.noToken(this.metadata.href, this.#scope)
    }
    let body: unknown
    let message: Message = {}
    try {
      body = seen.method === 'POST' ? await seen.read() : undefined
      message = seen.method === 'POST' ? read(body) : message
    } catch (error) {
      if (error instanceof Unreadable) {
        return denial.badRequest(error.message)
      }
      throw error
    }
    return agrees(message, seen.headers)
      ? this.#decide(seen, shown, message, body)
      : denial.disagreement(message)
  }

  /** Takes note of whose session an answer opens. */
  opened(session: string | undefined, claims: Claims): void {
    if (session === undefined) {
      return
    }
    this.#sessions.delete(session)
    this.#sessions.set(session, principal(claims))
    const [oldest] = this.#sessions.keys()
    if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) {
      this.#sessions.delete(oldest)
    }
  }

  async #decide(seen: Seen, shown: Shown, message: Message, body: unknown): Promise<Response | Admitted> {
    let asked: { answer: Answer; call: Call | undefined; blocked: denial.Denial | undefined }
    try {
      asked = await this.#ask(shown, message)
    } catch (error) {
      if (!(error instanceof DeputyUnavailable)) {
        throw error
      }
      return message.call === undefined
        ? denial.noAnswer(error)
        : denial.deniedCall(message, denial.undecided(error))
    }
    const { answer, call, blocked } = asked
    const refusal = this.#refusal(message, asked) ?? unproved(shown, answer) ?? this.#foreign(seen, answer)
    if (refusal !== undefined || answer.claims === undefined) {
      return refusal ?? denial.deadToken(this.metadata.href, this.#scope)
    }
    if (blocked !== undefined) {
      return denial.deniedCall(message, blocked)
    }
    const ticket = call === undefined ? {} : { ticket: { call, answer, used: false } }
    return { token: shown.token, claims: answer.claims, body, ...ticket }
  }

  /** One question: about the call as the tool will receive it, or about the token if no tool would. */
  async #ask({ token, proof }: Shown, { call: wanted }: Message) {
    if (wanted === undefined) {
      return { answer: await this.#deputy.introspect(token), call: undefined, blocked: undefined }
    }
    const validate = this.#tools.get(wanted.tool)
    const received = validate === undefined ? { value: wanted.arguments } : await validate(wanted.arguments)
    // What the tool does not take the SDK turns away, with its own words.
    const asked = received === undefined ? undefined : sayable(wanted.tool, received.value)
    if (asked === undefined) {
      const blocked = received === undefined ? undefined : UNSAYABLE
      return { answer: await this.#deputy.introspect(token), call: undefined, blocked }
    }
    const answer = await this.#deputy.decide(token, asked, proof)
    return { answer, call: asked, blocked: validate === undefined ? NO_SUCH_TOOL : undefined }
  }

  #refusal(message: Message, { answer, call }: { answer: Answer; call: Call | undefined }): Response | undefined {
    if (!answer.live) {
      return denial.deadToken(this.metadata.href, this.#scope)
    }
    if (message.call === undefined) {
      return isOpen(message, this.#opened) ? undefined : denial.closedMethod(message)
    }
    if (call === undefined || permits(answer)) {
      return undefined
    }
    const { decision } = answer
    if (decision?.scope !== undefined) {
      return denial.moreScope(decision.scope, this.metadata.href)
    }
    if (decision?.challenge !== undefined) {
      return denial.challenged(decision.challenge, { error: decision.reason })
    }
    return denial.deniedCall(message, denial.refused(answer))
  }

  /** A session goes on with the agent and the person that it began with, or not at all. */
  #foreign({ headers }: Seen, { claims }: Answer): Response | undefined {
    const session = headers.get(SESSION)
    if (session === null || claims === undefined) {
      return undefined
    }
    if (this.#sessions.get(session) !== principal(claims)) {
      return denial.noSession()
    }
    this.opened(session, claims)
    return undefined
  }
}

/** The name of the header that carries a session's id. */
export { SESSION }

/** The one token of a request, under `Bearer`, or under `DPoP` with one proof; or nothing. */
function presented({ method, headers }: Seen): Shown | undefined {
  const value = headers.get('authorization') ?? ''
  const [, scheme, token] = (value.length <= MAX_TOKEN_LENGTH ? CREDENTIALS.exec(value) : null) ?? []
  if (scheme === undefined || token === undefined) {
    return undefined
  }
  if (scheme.toLowerCase() === 'bearer') {
    return { token, proof: undefined }
  }
  const jwt = headers.get('dpop') ?? ''
  // Two headers of one name are one with a comma, which no proof has.
  const isProof = jwt !== '' && jwt.length <= MAX_TOKEN_LENGTH && !jwt.includes(',')
  return isProof ? { token, proof: { jwt, method } } : undefined
}

/** A bound token is no bearer token, nor the reverse, whoever checks the proof. */
function unproved(shown: Shown, { claims }: Answer): Response | undefined {
  const isBound = claims?.token_type === 'DPoP'
  if (claims === undefined || isBound === (shown.proof !== undefined)) {
    return undefined
  }
  return denial.challenged(UNPROVED, { error: 'invalid_dpop_proof' })
}

function sayable(tool: string, args: unknown): Call | undefined {
  try {
    return call(tool, args)
  } catch (error) {
    if (error instanceof TypeError) {
      return undefined
    }
    throw error
  }
}

function principal({ iss, client_id: clientId, sub }: Claims): string {
  return JSON.stringify([iss, clientId, sub])
}

function trimmed(path: string): string {
  return path.replace(/\/+$/, '')
}
