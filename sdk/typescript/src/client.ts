/** Deputy for clients on `@modelcontextprotocol/client`: an OAuth provider that exchanges (RFC 8693). */

import type {
  DpopSession,
  OAuthClientMetadata,
  OAuthClientProvider,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from '@modelcontextprotocol/client'

import { EXCHANGE, type Subject, type Want, wanted } from './agent.js'
import { WrongServer } from './errors.js'
import { type ExchangeOptions, scopes, widened } from './exchange.js'
import type { Credentials } from './wire.js'

/** How long before its end a token is not used any more, in milliseconds. */
const MARGIN_MS = 10_000

/** What a provider needs. */
export interface ProviderOptions extends ExchangeOptions, Pick<Credentials, 'issuer' | 'clientId'> {
  readonly clientSecret: string
  readonly subject: Subject
  /** A key for tokens that are bound to it: the client's transport makes the proofs. */
  readonly dpop?: DpopSession
}

/**
 * The `authProvider` of a `StreamableHTTPClientTransport`: the SDK finds Deputy through the server's
 * metadata, and this says what to ask it for.
 *
 * The credentials go to `issuer` and nowhere else, whatever the server says. What a server asks for beyond
 * `scope` and `stepUp` is not asked for. For more than one server, or many people, use `withExchange`: it
 * needs no discovery and keeps its tokens in one place.
 */
export class TokenExchangeProvider implements OAuthClientProvider {
  readonly redirectUrl = undefined
  readonly clientMetadata: OAuthClientMetadata
  readonly #options: ProviderOptions
  readonly #named: ReadonlySet<string>
  #want: Want
  /** What the request under way is for; it is what is wanted once it is granted. */
  #asking: Want
  #tokens: { readonly saved: StoredOAuthTokens; readonly usableUntil: number } | undefined

  /** Throws `TypeError` if `stepUp` is there without `scope`, or with `tools`. */
  constructor(options: ProviderOptions) {
    const { resource, scope, tools, onward, stepUp } = options
    if (stepUp !== undefined && (scope === undefined || tools !== undefined)) {
      throw new TypeError('`stepUp` goes with `scope` and without `tools`')
    }
    this.#options = options
    this.#named = new Set(scopes(stepUp))
    this.#want = {
      resource,
      ...(scope === undefined ? {} : { scope }),
      ...(tools === undefined ? {} : { tools }),
      ...(onward === undefined ? {} : { onward }),
    }
    this.#asking = this.#want
    this.clientMetadata = {
      redirect_uris: [],
      grant_types: [EXCHANGE],
      token_endpoint_auth_method: 'client_secret_basic',
      ...(scope === undefined ? {} : { scope }),
    }
  }

  /** Who the agent is, and the only issuer that may be told. */
  clientInformation(): StoredOAuthClientInformation {
    const { clientId, clientSecret, issuer } = this.#options
    return { client_id: clientId, client_secret: clientSecret, issuer }
  }

  /** The token, if there is one that outlives a request. */
  tokens(): StoredOAuthTokens | undefined {
    const held = this.#tokens
    return held !== undefined && performance.now() < held.usableUntil ? held.saved : undefined
  }

  saveTokens(tokens: StoredOAuthTokens): void {
    const lifeMs = (tokens.expires_in ?? 0) * 1000
    const usableUntil = performance.now() + lifeMs - Math.min(MARGIN_MS, lifeMs / 2)
    this.#tokens = { saved: tokens, usableUntil }
    this.#want = this.#asking
  }

  invalidateCredentials(): void {
    this.#tokens = undefined
  }

  /** Throws `WrongServer` if the server calls itself something else than the token is for. */
  saveResourceUrl(resource: string): void {
    if (resource !== this.#options.resource) {
      throw new WrongServer(`the server says that it is \`${resource}\`, not \`${this.#options.resource}\``)
    }
  }

  /** The exchange. `scope` is what the server suggests; it counts after a first token, and if named. */
  prepareTokenRequest(scope?: string): URLSearchParams {
    this.#asking = this.#want
    if (this.#tokens !== undefined && this.#want.scope !== undefined) {
      const wider = widened(this.#want.scope, scope ?? '', this.#named)
      this.#asking = wider === undefined ? this.#want : { ...this.#want, scope: wider }
    }
    return new URLSearchParams({ ...this.#options.subject.form(), ...wanted(this.#asking) })
  }

  dpop(): DpopSession | undefined {
    return this.#options.dpop
  }

  redirectToAuthorization(): void {
    throw new TypeError('a token is exchanged without sending anybody anywhere')
  }

  saveCodeVerifier(): void {
    // There is no authorization code.
  }

  codeVerifier(): string {
    throw new TypeError('there is no authorization code in an exchange')
  }
}
