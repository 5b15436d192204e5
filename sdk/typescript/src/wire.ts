/** The only place that speaks HTTP to Deputy: one form, one strict answer, all of it bounded. */

import { DeputyUnavailable } from './errors.js'
import { isObject, type JsonObject, parse } from './json.js'
import type { PrivateKey } from './key.js'

/** The longest answer that is read, in bytes. A call token is at most 4 KiB, a hand-over 16 KiB. */
export const MAX_ANSWER_BYTES = 65_536

/** Milliseconds for one whole question, connecting and reading included. */
export const DEFAULT_TIMEOUT_MS = 5_000

/** The status of an answer that says what was asked for. */
export const OK = 200

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost'])

/** One of Deputy's clients, as it is registered there. */
export interface Credentials {
  /** Deputy's issuer, as it stands in its metadata: `https://deputy.example.com/oauth2`. */
  readonly issuer: string
  readonly clientId: string
  /** Its secret, or the private key whose public half is registered. */
  readonly clientSecret: string | PrivateKey
  /** Milliseconds for one whole question; `DEFAULT_TIMEOUT_MS` if not said. */
  readonly timeoutMs?: number
  /** Another `fetch` than the global one, which keeps connections open by itself. */
  readonly fetch?: typeof fetch
}

/** An answer: its status, its headers, and its body, which is one JSON object. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: JsonObject
}

/** Deputy as one client sees it. */
export class Wire {
  readonly issuer: string
  readonly #clientId: string
  readonly #clientSecret: string | PrivateKey
  readonly #timeoutMs: number
  readonly #fetch: typeof fetch

  /** Throws `TypeError` for an issuer to which a secret must not be sent. */
  constructor(credentials: Credentials) {
    this.issuer = checked(credentials.issuer)
    this.#clientId = credentials.clientId
    this.#clientSecret = credentials.clientSecret
    this.#timeoutMs = credentials.timeoutMs ?? DEFAULT_TIMEOUT_MS
    this.#fetch = credentials.fetch ?? fetch
  }

  /** Where an endpoint of the issuer is. */
  url(endpoint: string): string {
    return `${this.issuer}/${endpoint}`
  }

  /**
   * Posts `form` to an endpoint of the issuer.
   *
   * Throws `DeputyUnavailable` if there is no answer in time, or none that is a JSON object of at most
   * `MAX_ANSWER_BYTES`.
   */
  async post(endpoint: string, form: Readonly<Record<string, string>>, proof?: string): Promise<Reply> {
    const url = this.url(endpoint)
    const [clientId, secret] = [this.#clientId, this.#clientSecret]
    const isSecret = typeof secret === 'string'
    const said = isSecret ? form : { ...form, ...secret.proof(clientId, this.issuer) }
    let response: Response
    let text: string
    try {
      response = await this.#fetch(url, {
        method: 'POST',
        headers: {
          ...(isSecret ? { Authorization: basic(clientId, secret) } : {}),
          Accept: 'application/json',
          'Accept-Encoding': 'identity',
          ...(proof === undefined ? {} : { DPoP: proof }),
        },
        body: new URLSearchParams(said),
        redirect: 'error',
        signal: AbortSignal.timeout(this.#timeoutMs),
      })
      text = await bounded(url, response)
    } catch (error) {
      throw this.#unavailable(url, error)
    }
    return { status: response.status, headers: response.headers, body: object(url, text) }
  }

  #unavailable(url: string, error: unknown): DeputyUnavailable {
    if (error instanceof DeputyUnavailable) {
      return error
    }
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      return new DeputyUnavailable(
        `\`${url}\` did not answer within ${this.#timeoutMs} ms: is Deputy overloaded?`,
      )
    }
    return new DeputyUnavailable(`\`${url}\` cannot be reached: is Deputy running there?`, { cause: error })
  }
}

async function bounded(url: string, response: Response): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const body = (response.body ?? new ReadableStream()) as ReadableStream<Uint8Array>
  let text = ''
  let length = 0
  for await (const piece of body) {
    length += piece.byteLength
    if (length > MAX_ANSWER_BYTES) {
      throw new DeputyUnavailable(`\`${url}\` answered more than ${MAX_ANSWER_BYTES} bytes`)
    }
    text += decoder.decode(piece, { stream: true })
  }
  return text + decoder.decode()
}

function object(url: string, text: string): JsonObject {
  let value: unknown
  try {
    value = parse(text)
  } catch (error) {
    throw new DeputyUnavailable(`\`${url}\` did not answer JSON: is that Deputy's issuer?`, { cause: error })
  }
  if (!isObject(value)) {
    throw new DeputyUnavailable(`\`${url}\` did not answer a JSON object: is that Deputy's issuer?`)
  }
  return value
}

/** RFC 6749 section 2.3.1: both are form-encoded before they are joined. */
function basic(clientId: string, clientSecret: string): string {
  const encoded = (value: string) => new URLSearchParams({ v: value }).toString().slice(2)
  return `Basic ${Buffer.from(`${encoded(clientId)}:${encoded(clientSecret)}`).toString('base64')}`
}

function checked(issuer: string): string {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK.has(url.hostname))
  if (url === undefined || !isSafe) {
    throw new TypeError(`the issuer \`${issuer}\` must be an https URL (http only on loopback)`)
  }
  if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new TypeError('the issuer must be a URL without user, query and fragment')
  }
  return issuer.replace(/\/+$/, '')
}
