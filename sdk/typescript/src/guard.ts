/**
 * What the guards of both SDKs have in common: the tools, and the last check before one of them runs.
 *
 * The gate asked about the arguments that the tool will receive; what runs is what arrived here. If
 * something in between changed the call, or ran it a second time, the earlier answer does not count.
 */

import { call, type Answer, type Call, type Deputy, permits } from './deputy.js'
import { type Denial, refused, undecided } from './denial.js'
import { DeputyUnavailable } from './errors.js'
import { type Admitted, Gate, type GateOptions, type Ticket, type Validate } from './gate.js'
import { isObject } from './json.js'
import { scopes } from './exchange.js'

/** Where the ticket of a request is, in the `extra` of its `AuthInfo`. */
const TICKET = Symbol('deputy ticket')

const NO_TOKEN: Denial = {
  text: 'denied: no token arrived with this call; serve the tools over HTTP, behind the guard',
}
const CHANGED: Denial = {
  text:
    'denied: the call was changed after Deputy decided about it; let nothing between the guard and the ' +
    'tool rewrite names or arguments, and let the schema of a tool make the same of the same arguments',
}
const UNSAYABLE: Denial = { text: 'denied: the arguments cannot be written as JSON' }

/** What both SDKs know of a token. `extra` is all that Deputy said: `sub` is the person, `act` the agents. */
export interface AuthInfo {
  token: string
  clientId: string
  scopes: string[]
  /** Seconds since 1970. */
  expiresAt: number
  resource: URL
  resourceMetadataUrl: string
  extra: Record<string, unknown>
}

/** The part of an `AuthInfo` of either SDK that the last check reads. */
interface Authenticated {
  readonly token: string
  extra?: Record<string, unknown>
}

/** The tools of a server, and the gate before it. */
export class Guard {
  protected readonly gate: Gate
  readonly #tools = new Map<string, Validate>()

  constructor(
    protected readonly deputy: Deputy,
    options: GateOptions = {},
  ) {
    this.gate = new Gate(deputy, this.#tools, options)
  }

  /** Throws `TypeError` for a name that is taken. */
  protected define(name: string, validate: Validate): void {
    if (this.#tools.has(name)) {
      throw new TypeError(`the tool \`${name}\` is registered already`)
    }
    this.#tools.set(name, validate)
  }

  /** What the SDK is told about a request that may pass. */
  protected authInfo({ token, claims, ticket }: Admitted): AuthInfo {
    const extra = ticket === undefined ? { ...claims } : { ...claims, [TICKET]: ticket }
    return {
      token,
      clientId: claims.client_id,
      scopes: scopes(claims.scope),
      expiresAt: claims.exp,
      resource: new URL(claims.aud),
      resourceMetadataUrl: this.gate.metadata.href,
      extra,
    }
  }

  /** Nothing if the call may run now, once; otherwise why not. */
  protected async lastCheck(
    auth: Authenticated | undefined,
    name: string,
    args: unknown,
  ): Promise<Denial | undefined> {
    if (auth === undefined) {
      return NO_TOKEN
    }
    const runs = sayable(name, args)
    if (runs === undefined) {
      return UNSAYABLE
    }
    const ticket = ticketOf(auth)
    if (ticket === undefined || ticket.used) {
      return this.#ask(auth.token, runs)
    }
    if (ticket.call.tool !== runs.tool || ticket.call.arguments !== runs.arguments) {
      return CHANGED
    }
    // One answer, one execution: the next one is asked about anew.
    ticket.used = true
    return permits(ticket.answer) ? undefined : refused(ticket.answer)
  }

  /**
   * Asks ahead of the last check, for who comes without the gate, and leaves the answer for it. `args` are
   * those of the message.
   *
   * The scope that would cure a denial, if Deputy says that one would.
   */
  protected async askAhead(auth: Authenticated, name: string, args: unknown): Promise<string | undefined> {
    const received = ticketOf(auth) === undefined ? await this.#tools.get(name)?.(args) : undefined
    const asked = received === undefined ? undefined : sayable(name, received.value)
    if (asked === undefined) {
      return undefined
    }
    let answer: Answer
    try {
      answer = await this.deputy.decide(auth.token, asked)
    } catch (error) {
      if (error instanceof DeputyUnavailable) {
        // The last check asks again, and says why if there is no answer then either.
        return undefined
      }
      throw error
    }
    const ticket: Ticket = { call: asked, answer, used: false }
    auth.extra = { ...auth.extra, [TICKET]: ticket }
    return answer.decision?.scope
  }

  async #ask(token: string, asked: Call): Promise<Denial | undefined> {
    try {
      const answer = await this.deputy.decide(token, asked)
      return permits(answer) ? undefined : refused(answer)
    } catch (error) {
      if (error instanceof DeputyUnavailable) {
        return undecided(error)
      }
      throw error
    }
  }
}

function ticketOf({ extra }: Authenticated): Ticket | undefined {
  const ticket = (extra as Record<symbol, unknown> | undefined)?.[TICKET]
  return isObject(ticket) ? (ticket as unknown as Ticket) : undefined
}

function sayable(name: string, args: unknown): Call | undefined {
  try {
    return call(name, args)
  } catch {
    return undefined
  }
}
