/** Clients that prove themselves with a key instead of a secret (`private_key_jwt`, RFC 7523). */

import { createPrivateKey, type KeyObject, randomBytes, sign } from 'node:crypto'

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Seconds for which an assertion may be used; Deputy takes none that lives longer than 300. */
const LIFE_S = 60
/** Bytes of chance in a `jti`: an assertion is made for one request and works once. */
const JTI_BYTES = 16

/** The private key of a client whose public key is registered at Deputy. */
export class PrivateKey {
  readonly #key: KeyObject
  readonly #alg: 'ES256' | 'EdDSA'
  readonly #kid: string

  /**
   * Takes a key on P-256 or Ed25519, as PEM text or as Node has it; `kid` is what the registered key is called.
   *
   * Throws `TypeError` for another kind of key.
   */
  constructor(key: string | KeyObject, kid: string) {
    this.#key = typeof key === 'string' ? createPrivateKey(key) : key
    this.#alg = algorithm(this.#key)
    this.#kid = kid
  }

  /** The parameters of one request that say who asks (RFC 7523 section 2.2). */
  proof(clientId: string, issuer: string): Record<string, string> {
    const now = Math.floor(Date.now() / 1000)
    const jti = randomBytes(JTI_BYTES).toString('base64url')
    const said = { iss: clientId, sub: clientId, aud: issuer, iat: now, exp: now + LIFE_S, jti }
    const signed = `${part({ typ: 'client-authentication+jwt', alg: this.#alg, kid: this.#kid })}.${part(said)}`
    const key = { key: this.#key, dsaEncoding: 'ieee-p1363' as const }
    const signature = sign(this.#alg === 'ES256' ? 'sha256' : null, Buffer.from(signed), key)
    return {
      client_id: clientId,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: `${signed}.${signature.toString('base64url')}`,
    }
  }
}

function algorithm(key: KeyObject): 'ES256' | 'EdDSA' {
  if (key.type === 'private' && key.asymmetricKeyType === 'ed25519') {
    return 'EdDSA'
  }
  if (key.type === 'private' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') {
    return 'ES256'
  }
  throw new TypeError('only private keys on P-256 and Ed25519 are taken: make one of those')
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
