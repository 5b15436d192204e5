/**
 * Agents: who they are, whose token they hold, and the tokens they exchange it for (RFC 8693).
 *
 * A token is remembered for one subject token, target, scope and details until shortly before it
 * expires; several tasks that want the same one wait for one exchange. The memory is bounded and never
 * leaves the process.
 */

import { createHash } from 'node:crypto'

import { entry, type Tools } from './authority.js'
import { DeputyUnavailable, ExchangeRefused } from './errors.js'
import { canonical, type JsonObject } from './json.js'
import { type Credentials, OK, type Reply, Wire } from './wire.js'

/** RFC 8693 section 2.1. */
export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:'
/** Tokens that are remembered; beyond it the one unused for longest is forgotten. */
const MAX_REMEMBERED = 1024
/** A token is not used in its last milliseconds: it must outlive the request that carries it. */
const MARGIN_MS = 10_000
/** Answers of the token endpoint that mean "later", not "no". */
const LATER = new Set([408, 429])
const SERVER_ERROR = 500

/** The token that says for whom an agent acts, and of which kind it is. */
export class Subject {
  readonly #token: string
  /** RFC 8693 section 3. */
  readonly type: string

  private constructor(token: string, kind: string) {
    this.#token = token
    this.type = TOKEN_TYPE + kind
  }

  /** A user's access token from a trusted issuer, or a call token of Deputy's. */
  static accessToken(token: string): Subject {
    return new Subject(token, 'access_token')
  }

  /** A user's ID token from a trusted issuer. */
  static idToken(token: string): Subject {
    return new Subject(token, 'id_token')
  }

  /** What another agent handed over to this one. */
  static handOver(token: string): Subject {
    return new Subject(token, 'jwt')
  }

  /** The parameters of an exchange that say for whom it is (RFC 8693 section 2.1). */
  form(): { grant_type: string; subject_token: string; subject_token_type: string } {
    return { grant_type: EXCHANGE, subject_token: this.#token, subject_token_type: this.type }
  }

  /** Names the token without being it. */
  key(): string {
    return createHash('sha256').update(this.#token).digest('base64url')
  }
}

/** What a token is wanted for: one target, and a scope, or tools, or both. */
export interface Want {
  /** The URL of the server as it is registered at Deputy. */
  readonly resource: string
  /** Scopes, with spaces between. They cover whatever reads and writes, and nothing that destroys. */
  readonly scope?: string
  /** Tools, and what their arguments are limited to. */
  readonly tools?: Tools
  /** Tools at other servers that the owner of `resource` may call in turn. */
  readonly onward?: Readonly<Record<string, Tools>>
}

/** A token for one server. */
export interface Token {
  readonly value: string
  readonly scope: string
  /** How it goes into `Authorization`: `DPoP` if it is bound to the agent's key. */
  readonly type: 'Bearer' | 'DPoP'
  /** On the monotonic clock, in milliseconds, the margin taken off. */
  readonly usableUntil: number
}

/** Authority passed on to another agent: send `token` to it and to nobody else. */
export interface HandOver {
  readonly token: string
  /** Seconds. */
  readonly expiresIn: number
}

/** Makes proofs of one key (RFC 9449): a `DpopSession` of `@modelcontextprotocol/client`, or its like. */
export interface ProofMaker {
  buildProof(request: { htm: string; htu: string; accessToken?: string }): Promise<string>
  /** Takes note of a nonce that an answer brings. */
  observeNonce(response: Response, url: string): void
}

/** One program that acts for people, as it is registered at Deputy. Make one and keep it. */
export class Agent {
  /** What signs proofs, if this agent's tokens are bound to a key. */
  readonly dpop: ProofMaker | undefined
  readonly #wire: Wire
  readonly #remembered = new Map<string, Token>()
  readonly #flights = new Map<string, Promise<Token>>()

  constructor(options: Credentials & { readonly dpop?: ProofMaker }) {
    this.#wire = new Wire(options)
    this.dpop = options.dpop
  }

  /**
   * A token for `want` on behalf of the subject: the one remembered, or a new one.
   *
   * Throws `ExchangeRefused` if Deputy says no, `DeputyUnavailable` if it says nothing.
   */
  async token(subject: Subject, want: Want): Promise<Token> {
    const key = keyOf(subject, want)
    const known = this.#recall(key)
    if (known !== undefined) {
      return known
    }
    let flight = this.#flights.get(key)
    if (flight === undefined) {
      flight = this.#issue(subject, want, key).finally(() => this.#flights.delete(key))
      this.#flights.set(key, flight)
    }
    return flight
  }

  /** Drops a token that a server turned away, unless a newer one is in its place. */
  forget(subject: Subject, want: Want, token: Token): void {
    const key = keyOf(subject, want)
    if (this.#remembered.get(key) === token) {
      this.#remembered.delete(key)
    }
  }

  /**
   * Passes authority on to the agent with this URI: for each server, what it may call there.
   *
   * It is made anew each time: a hand-over is sent once. Throws as `token` does.
   */
  async handOver(
    agent: string,
    subject: Subject,
    tools: Readonly<Record<string, Tools>>,
  ): Promise<HandOver> {
    const body = await this.#exchange(subject, { resource: agent, ...details(tools) })
    return { token: accessToken(body), expiresIn: life(body) }
  }

  /** Forgets every token. */
  close(): void {
    this.#remembered.clear()
  }

  async #issue(subject: Subject, want: Want, key: string): Promise<Token> {
    const begun = performance.now()
    const body = await this.#exchange(subject, wanted(want))
    const type = this.dpop === undefined ? 'Bearer' : 'DPoP'
    if (String(body['token_type']).toLowerCase() !== type.toLowerCase()) {
      throw new DeputyUnavailable(`Deputy issued a token that is not \`${type}\`: name a server`)
    }
    const lifeMs = life(body) * 1000
    const token: Token = {
      value: accessToken(body),
      scope: typeof body['scope'] === 'string' ? body['scope'] : '',
      type,
      usableUntil: begun + lifeMs - Math.min(MARGIN_MS, lifeMs / 2),
    }
    this.#remember(key, token)
    return token
  }

  async #exchange(subject: Subject, form: Readonly<Record<string, string>>): Promise<JsonObject> {
    const whole = { ...subject.form(), ...form }
    if (this.dpop === undefined) {
      return granted(await this.#wire.post('token', whole))
    }
    const first = await this.#proved(this.dpop, whole)
    // RFC 9449 section 8: the first proof of a while lacks the nonce that the answer to it brings.
    const isNonceWanted = (reply: Reply) => reply.body['error'] === 'use_dpop_nonce'
    const reply = isNonceWanted(first) ? await this.#proved(this.dpop, whole) : first
    if (isNonceWanted(reply)) {
      throw new DeputyUnavailable('Deputy wants another nonce each time: do its clocks agree?')
    }
    return granted(reply)
  }

  async #proved(dpop: ProofMaker, form: Readonly<Record<string, string>>): Promise<Reply> {
    const url = this.#wire.url('token')
    const reply = await this.#wire.post('token', form, await dpop.buildProof({ htm: 'POST', htu: url }))
    dpop.observeNonce(new Response(null, { headers: reply.headers }), url)
    return reply
  }

  #recall(key: string): Token | undefined {
    const token = this.#remembered.get(key)
    if (token === undefined) {
      return undefined
    }
    this.#remembered.delete(key)
    if (performance.now() >= token.usableUntil) {
      return undefined
    }
    // A map keeps the order of insertion: what was used last is forgotten last.
    this.#remembered.set(key, token)
    return token
  }

  #remember(key: string, token: Token): void {
    this.#remembered.set(key, token)
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined) {
      this.#remembered.delete(oldest)
    }
  }
}

/** The parameters of an exchange that say what is wanted. */
export function wanted({ resource, scope, tools, onward }: Want): Record<string, string> {
  const entries = { ...(tools === undefined ? {} : { [resource]: tools }), ...onward }
  return { resource, ...(scope === undefined ? {} : { scope }), ...details(entries) }
}

function details(entries: Readonly<Record<string, Tools>>): Record<string, string> {
  const list = Object.entries(entries).map(([location, tools]) => entry(location, tools))
  return list.length === 0 ? {} : { authorization_details: canonical(list) }
}

function keyOf(subject: Subject, want: Want): string {
  return canonical([subject.type, subject.key(), wanted(want)])
}

function granted({ status, body }: Reply): JsonObject {
  if (status === OK) {
    return body
  }
  const { error, error_description: description, error_id: errorId } = body
  if (typeof error !== 'string' || LATER.has(status) || status >= SERVER_ERROR) {
    throw new DeputyUnavailable(`Deputy answered ${status}: try again later`)
  }
  throw new ExchangeRefused(
    error,
    typeof description === 'string' ? description : 'no reason was given',
    typeof errorId === 'string' ? errorId : undefined,
  )
}

function accessToken(body: JsonObject): string {
  const value = body['access_token']
  if (typeof value !== 'string' || value === '') {
    throw new DeputyUnavailable("Deputy's answer has no `access_token`")
  }
  return value
}

function life(body: JsonObject): number {
  const seconds = body['expires_in']
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 0) {
    throw new DeputyUnavailable("Deputy's answer has no `expires_in` in whole seconds")
  }
  return seconds
}
