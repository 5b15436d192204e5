// What Deputy is compared with: `oidc-provider`, with the token-exchange grant registered as its
// documentation shows. ES256, tokens in memory (its own adapter), nothing on disk and nothing logged.
//
// The settings come as JSON in the first argument; prints its port. Serves one core: it is one process.

import { createServer } from 'node:http'

import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import Provider, { errors } from 'oidc-provider'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const PARAMETERS = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'resource',
  'scope',
  'authorization_details',
]

const { issuer, clients, subjects, scope } = JSON.parse(process.argv[2])
const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
const named = { kid: 'peer', use: 'sig', alg: 'ES256' }
const own = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), ...named }] })
const foreign = createLocalJWKSet(subjects.jwks)

const provider = new Provider(issuer, {
  clients: clients.map(([client_id, client_secret]) => ({
    client_id,
    client_secret,
    grant_types: ['client_credentials', EXCHANGE],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: 'ES256',
  })),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, audience) => ({
        scope,
        audience,
        accessTokenTTL: 900,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  jwks: { keys: [{ ...(await exportJWK(privateKey)), ...named }] },
  routes: { token: '/oauth2/token', introspection: '/oauth2/introspect' },
  extraTokenClaims: (ctx) => ctx.act && { act: ctx.act },
  scopes: [scope],
  ttl: { AccessToken: 900, ClientCredentials: 900 },
})

provider.registerGrantType(EXCHANGE, exchange, PARAMETERS)

// With a `resource` it gives a JWT for it, without one an opaque token that it remembers.
async function exchange(ctx) {
  const { params, client } = ctx.oidc
  if (params.subject_token_type !== ACCESS_TOKEN) {
    throw new errors.InvalidRequest('the subject token must be an access token')
  }
  const { issuer: expected, audience } = subjects
  const subject = await verified(params.subject_token, foreign, { issuer: expected, audience })
  const token = new provider.AccessToken({
    accountId: subject.sub,
    client,
    gty: 'token_exchange',
    scope: params.scope,
  })
  const act = params.actor_token && (await verified(params.actor_token, own, { issuer }))
  ctx.act = { sub: client.clientId, ...(act && { act: { sub: act.sub } }) }
  if (params.resource) {
    const info = { scope, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
    token.resourceServer = new provider.ResourceServer(params.resource, info)
  }
  ctx.oidc.entity('AccessToken', token)
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: ACCESS_TOKEN,
    token_type: token.tokenType,
    expires_in: token.expiration,
    scope: token.scope,
  }
}

async function verified(token, keys, expected) {
  try {
    return (await jwtVerify(token, keys, { ...expected, typ: 'at+jwt', algorithms: ['ES256'] })).payload
  } catch (error) {
    throw new errors.InvalidRequest(error.message)
  }
}

const server = createServer(provider.callback())
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
