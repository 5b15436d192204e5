/** The HTTP side of an agent: a token on every request to one server, and nowhere else. */

import type { Agent, ProofMaker, Subject, Token, Want } from './agent.js'
import { DeputyError, WrongServer } from './errors.js'

/** What `fetch` is to an MCP client. */
export type FetchLike = (url: string | URL, init?: RequestInit) => Promise<Response>

/** What tokens are asked for. */
export interface ExchangeOptions extends Want {
  /**
   * Scopes that may be added when the server asks for them (403, `insufficient_scope`), once per request.
   *
   * It goes with `scope` alone: a token with scopes only never covers tools that destroy or that let data
   * out, so stepping up cannot reach those.
   */
  readonly stepUp?: string
}

const UNAUTHORIZED = 401
const FORBIDDEN = 403
const PROOF_FAULT = /error="(use_dpop_nonce|invalid_dpop_proof)"/
const CHALLENGED_SCOPE = /[ ,]scope="([\x21\x23-\x5B\x5D-\x7E ]{1,1024})"/

/**
 * A middleware for the `fetch` of a client: exchanges the subject's token for one that is good at
 * `resource`, and puts it on requests, with a proof if the agent has a key.
 *
 * A request is sent at most once more with a newer or a wider token, and once more with the nonce that its
 * proof lacked. Throws what `Agent.token` throws, and
 * `WrongServer` for a request to anywhere else.
 */
export function withExchange(
  agent: Agent,
  subject: Subject,
  options: ExchangeOptions,
): (next: FetchLike) => FetchLike {
  const { stepUp, ...want } = options
  if (stepUp !== undefined && (want.scope === undefined || want.tools !== undefined)) {
    throw new TypeError('`stepUp` goes with `scope` and without `tools`')
  }
  const named = new Set(scopes(stepUp))
  return (next) => new Exchange(agent, subject, want, named, next).fetch
}

/** The scope to ask for after a challenge: the wanted and the challenged, if all of that was named. */
export function widened(scope: string, challenged: string, named: ReadonlySet<string>): string | undefined {
  const have = new Set(scopes(scope))
  const more = scopes(challenged).filter((one) => !have.has(one))
  const mayStepUp = more.length > 0 && more.every((one) => named.has(one))
  return mayStepUp ? [...new Set([...have, ...more])].sort().join(' ') : undefined
}

/** A token goes to its own server only (RFC 8707: origin, and the path or below it). */
export function checkServer(resource: string, url: string): void {
  const [ours, theirs] = [new URL(resource), new URL(url)]
  const path = ours.pathname.replace(/\/+$/, '')
  const isBelow = theirs.pathname.replace(/\/+$/, '') === path || theirs.pathname.startsWith(`${path}/`)
  if (ours.origin !== theirs.origin || !isBelow) {
    throw new WrongServer(`the token is for \`${resource}\` and was not sent to \`${theirs.origin}\``)
  }
}

class Exchange {
  #want: Want

  constructor(
    private readonly agent: Agent,
    private readonly subject: Subject,
    want: Want,
    private readonly named: ReadonlySet<string>,
    private readonly next: FetchLike,
  ) {
    this.#want = want
  }

  readonly fetch: FetchLike = async (url, init) => {
    if (new Headers(init?.headers).has('authorization')) {
      return this.next(url, init)
    }
    checkServer(this.#want.resource, String(url))
    const want = this.#want
    const token = await this.agent.token(this.subject, want)
    const response = await this.#send(url, init, token)
    const again = this.#again(response, want, token)
    const better = again === undefined || !canBeSentAgain(init) ? undefined : await this.#try(again)
    if (again === undefined || better === undefined) {
      return response
    }
    await response.body?.cancel()
    if (again !== want) {
      // What was named beforehand and granted once need not be asked for at every call.
      this.#want = again
    }
    return this.#send(url, init, better)
  }

  async #send(url: string | URL, init: RequestInit | undefined, token: Token): Promise<Response> {
    const headers = new Headers(init?.headers)
    headers.set('Authorization', `${token.type} ${token.value}`)
    // Not followed: whoever it points to is not the server that the token is for.
    const request: RequestInit = { ...init, headers, redirect: 'manual' }
    const { dpop } = this.agent
    if (dpop === undefined) {
      return this.next(url, request)
    }
    const first = await this.#proved(dpop, url, request, token)
    if (!isNonceWanted(first) || !canBeSentAgain(init)) {
      return first
    }
    // RFC 9449 section 9: the proof lacked the nonce that the answer brought.
    await first.body?.cancel()
    return this.#proved(dpop, url, request, token)
  }

  async #proved(dpop: ProofMaker, url: string | URL, init: RequestInit, token: Token): Promise<Response> {
    const proved = { htm: (init.method ?? 'GET').toUpperCase(), htu: String(url), accessToken: token.value }
    const headers = new Headers(init.headers)
    headers.set('DPoP', await dpop.buildProof(proved))
    const response = await this.next(url, { ...init, headers })
    dpop.observeNonce(response, String(url))
    return response
  }

  /** What to try the request with once more, if anything. */
  #again(response: Response, want: Want, token: Token): Want | undefined {
    const challenge = response.headers.get('WWW-Authenticate') ?? ''
    if (response.status === UNAUTHORIZED) {
      if (PROOF_FAULT.test(challenge)) {
        // The token is not at fault.
        return undefined
      }
      this.agent.forget(this.subject, want, token)
      return want
    }
    const challenged = CHALLENGED_SCOPE.exec(challenge)?.[1]
    const isStepUp = response.status === FORBIDDEN && challenge.includes('error="insufficient_scope"')
    if (!isStepUp || challenged === undefined || want.scope === undefined) {
      return undefined
    }
    const scope = widened(want.scope, challenged, this.named)
    return scope === undefined ? undefined : { ...want, scope }
  }

  /** A token for a second attempt; without one the server's own answer stands. */
  async #try(want: Want): Promise<Token | undefined> {
    try {
      return await this.agent.token(this.subject, want)
    } catch (error) {
      if (error instanceof DeputyError) {
        return undefined
      }
      throw error
    }
  }
}

/** A body that flows is gone once it is sent. */
function canBeSentAgain(init: RequestInit | undefined): boolean {
  return !(init?.body instanceof ReadableStream)
}

function isNonceWanted(response: Response): boolean {
  const challenge = response.headers.get('WWW-Authenticate') ?? ''
  const isNo = response.status === UNAUTHORIZED && challenge.includes('error="use_dpop_nonce"')
  return isNo && response.headers.has('DPoP-Nonce')
}

/** The scopes of a list with spaces between. */
export function scopes(list: string | undefined): string[] {
  return (list ?? '').split(' ').filter((one) => one !== '')
}
