/**
 * Deputy as a server asks it: is this token good here, and may this very call be made?
 *
 * Every answer is for one question and is never kept. Whatever is not clearly a yes is a no.
 */

import { randomBytes } from 'node:crypto'

import { DeputyUnavailable } from './errors.js'
import { canonical, isObject, type JsonObject } from './json.js'
import { type Credentials, OK, type Reply, Wire } from './wire.js'

/** Bytes of chance in a `call_id`. */
const CALL_ID_BYTES = 16
/** The longest text of a decision that is passed on, in characters. */
const MAX_TEXT = 1024
const UNAUTHORIZED = 401
/** RFC 6749 section 3.3: what a scope may be made of, and so what may stand in a challenge. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*$/
const PRINTABLE = /^[\x20-\x7E]+$/

/** What one tool is called with: its name, and its arguments as the one JSON text for them. */
export interface Call {
  readonly tool: string
  readonly arguments: string
}

/** The call with these arguments. Throws `TypeError` for what JSON cannot say. */
export function call(tool: string, args: unknown): Call {
  return { tool, arguments: canonical(args ?? {}) }
}

/** What Deputy decided about one call, and why. */
export interface Decision {
  readonly allow: boolean
  /** The reason as a code of Deputy's closed list. */
  readonly reason: string
  /** The reason as a sentence. */
  readonly message: string
  /** What an operator looks the decision up by. */
  readonly id: string
  /** The exact scope to step up to, where Deputy says that stepping up would help. */
  readonly scope?: string
  /** The challenge of a 401, where Deputy says that a 401 is the answer. */
  readonly challenge?: string
  /** All that Deputy said. */
  readonly members: JsonObject
}

/** One answer: whether the token is live here, who acts for whom, and the decision if one was asked for. */
export interface Answer {
  readonly live: boolean
  /** What RFC 7662 says about the token; nothing if the call was denied. */
  readonly claims?: Claims
  readonly decision?: Decision
}

/** The members of an answer that a server relies on. `act` names the agents, the newest first. */
export interface Claims extends JsonObject {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly client_id: string
  readonly scope: string
  /** Seconds since 1970. */
  readonly exp: number
  readonly token_type?: unknown
  readonly act?: unknown
}

/** A DPoP proof that came with a request (RFC 9449), and the request's method. */
export interface Proof {
  readonly jwt: string
  readonly method: string
}

/** Deputy, for the one resource that this server is. Make one and keep it. */
export class Deputy {
  /** The URL of this server as it is registered at Deputy. */
  readonly resource: string
  readonly #wire: Wire

  constructor(options: Credentials & { readonly resource: string }) {
    this.resource = options.resource
    this.#wire = new Wire(options)
  }

  /** The issuer whose tokens are accepted. */
  get issuer(): string {
    return this.#wire.issuer
  }

  /** Whether the token is live here at all; no call may be made on this answer. */
  async introspect(token: string): Promise<Answer> {
    return this.#understood(await this.#ask({ token }))
  }

  /**
   * Asks about one execution of one call. The `call_id` is chance, and ours alone.
   *
   * Throws `DeputyUnavailable` if there is no answer that can be relied on.
   */
  async decide(token: string, call: Call, proof?: Proof): Promise<Answer> {
    const callId = randomBytes(CALL_ID_BYTES).toString('base64url')
    const form = { token, tool: call.tool, arguments: call.arguments, call_id: callId }
    if (proof === undefined) {
      return this.#understood(await this.#ask(form), call)
    }
    // What clients see as our address is what we are registered as, whatever `Host` says.
    const shown = { dpop_proof: proof.jwt, htm: proof.method, htu: this.resource }
    return this.#understood(await this.#ask({ ...form, ...shown }), call)
  }

  async #ask(form: Readonly<Record<string, string>>): Promise<Reply> {
    const reply = await this.#wire.post('introspect', { ...form, resource: this.resource })
    if (reply.status === OK) {
      return reply
    }
    if (reply.body['error'] === 'invalid_client') {
      throw new DeputyUnavailable(
        'Deputy does not know this server: check its id, and its secret or registered key',
      )
    }
    throw new DeputyUnavailable(`Deputy answered ${reply.status} to a question: see its log`)
  }

  #understood({ body }: Reply, call?: Call): Answer {
    const { active, decision } = body
    if (typeof active !== 'boolean') {
      throw new DeputyUnavailable("Deputy's answer has no `active` that is true or false")
    }
    if (decision === undefined) {
      if (active && call !== undefined) {
        throw new DeputyUnavailable("Deputy's answer has no decision about the call")
      }
      return active ? { live: true, claims: this.#forUs(body) } : { live: false }
    }
    if (call === undefined) {
      throw new DeputyUnavailable("Deputy's answer has a decision that nobody asked for")
    }
    const decided = understood(decision)
    if (decided.allow !== active || (decided.members['tool'] ?? call.tool) !== call.tool) {
      throw new DeputyUnavailable("Deputy's answer contradicts itself")
    }
    return { live: true, decision: decided, ...(active ? { claims: this.#forUs(body) } : {}) }
  }

  /** A yes must be about a token of our issuer for our resource, and say whose it is. */
  #forUs(claims: JsonObject): Claims {
    const missing = ['sub', 'client_id', 'scope'].find((name) => typeof claims[name] !== 'string')
    if (missing !== undefined || !Number.isInteger(claims['exp'])) {
      throw new DeputyUnavailable(`Deputy's answer has no \`${missing ?? 'exp'}\``)
    }
    if (claims['aud'] !== this.resource || claims['iss'] !== this.issuer) {
      throw new DeputyUnavailable("Deputy's answer is about a token for another server")
    }
    return claims as Claims
  }
}

/** Whether the call that was asked about may run. */
export function permits(answer: Answer): boolean {
  return answer.live && answer.decision?.allow === true
}

function understood(value: unknown): Decision {
  if (!isObject(value) || typeof value['allow'] !== 'boolean') {
    throw new DeputyUnavailable("Deputy's decision has no `allow` that is true or false")
  }
  const { allow, reason, message, id, required_scope: scope } = value
  if (typeof reason !== 'string' || allow !== (reason === 'permitted')) {
    throw new DeputyUnavailable("Deputy's decision has no reason that goes with it")
  }
  const challenge = challengeOf(value)
  return {
    allow,
    reason: reason.slice(0, MAX_TEXT),
    message: (typeof message === 'string' && message !== '' ? message : reason).slice(0, MAX_TEXT),
    id: typeof id === 'string' ? id.slice(0, MAX_TEXT) : '',
    ...(typeof scope === 'string' && SCOPE.test(scope) ? { scope } : {}),
    ...(challenge === undefined ? {} : { challenge }),
    members: value,
  }
}

function challengeOf({ mcp, challenge }: JsonObject): string | undefined {
  const is401 = isObject(mcp) && mcp['status'] === UNAUTHORIZED
  return is401 && typeof challenge === 'string' && PRINTABLE.test(challenge) ? challenge : undefined
}
