// openid-client and oauth4webapi, unmodified, against a running Deputy: discovery, exchange,
// introspection as JSON and as a signed JWT, revocation, private_key_jwt, DPoP with nonces. Prints
// each client's version and how many checks it passed.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { importJWK } from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

const { DEPUTY, HELPER_SECRET, SERVER_SECRET, KEYED_KEY, ISSUER_SCRIPT } = process.env
const TICKETS = 'https://tickets.example.test/mcp'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const version = (name) =>
  JSON.parse(readFileSync(`${process.cwd()}/node_modules/${name}/package.json`)).version

let passed = 0
const check = async (what, test) => {
  try {
    await test()
    passed += 1
  } catch (error) {
    console.error(`${what}:`, error)
    process.exit(1)
  }
}
const report = (name) => {
  console.log(`${name} ${version(name)}: ${passed} checks`)
  passed = 0
}
const userToken = () => execFileSync(ISSUER_SCRIPT, ['token', 'alice']).toString().trim()
const wanted = () => ({
  subject_token: userToken(),
  subject_token_type: ACCESS_TOKEN,
  resource: TICKETS,
  scope: 'tickets:read',
})
const insecure = { algorithm: 'oauth2', execute: [client.allowInsecureRequests] }
const found = (id, metadata, auth, more = []) =>
  client.discovery(new URL(DEPUTY), id, metadata, auth, {
    ...insecure,
    execute: [...insecure.execute, ...more],
  })

const key = await importJWK(JSON.parse(readFileSync(KEYED_KEY)), 'ES256')
const kid = JSON.parse(readFileSync(KEYED_KEY)).kid

{
  const helper = await found('cl_helper', HELPER_SECRET, client.ClientSecretBasic(HELPER_SECRET))
  const server = await found('cl_server', SERVER_SECRET, client.ClientSecretBasic(SERVER_SECRET))
  const signed = await found(
    'cl_server',
    { client_secret: SERVER_SECRET, introspection_signed_response_alg: 'ES256' },
    client.ClientSecretBasic(SERVER_SECRET),
    [client.enableNonRepudiationChecks],
  )
  const keyed = await found('cl_keyed', undefined, client.PrivateKeyJwt({ key, kid }))
  let token

  await check('discovery', () => assert.equal(helper.serverMetadata().issuer, DEPUTY))
  await check('exchange', async () => {
    const answer = await client.genericGrantRequest(helper, EXCHANGE, wanted())
    assert.equal(answer.token_type, 'bearer')
    assert.equal(answer.issued_token_type, ACCESS_TOKEN)
    token = answer.access_token
  })
  await check('introspection', async () => {
    const answer = await client.tokenIntrospection(server, token)
    assert.equal(answer.active, true)
    assert.equal(answer.sub, 'alice')
    assert.equal(answer.act.sub, 'cl_helper')
  })
  await check('introspection of a call', async () => {
    const call = { tool: 'tickets.get', arguments: '{"id":1}' }
    const answer = await client.tokenIntrospection(server, token, call)
    assert.equal(answer.decision.allow, true)
    const denied = { tool: 'tickets.close', arguments: '{}' }
    assert.equal((await client.tokenIntrospection(server, token, denied)).active, false)
  })
  await check('signed introspection, its signature verified', async () => {
    const answer = await client.tokenIntrospection(signed, token)
    assert.equal(answer.active, true)
    assert.equal((await client.tokenIntrospection(signed, 'unknown')).active, false)
  })
  await check('an error is read', async () => {
    const beyond = { ...wanted(), scope: 'nonsense' }
    await assert.rejects(client.genericGrantRequest(helper, EXCHANGE, beyond), {
      error: 'invalid_scope',
    })
  })
  await check('revocation', async () => {
    await client.tokenRevocation(helper, token)
    assert.deepEqual(await client.tokenIntrospection(server, token), { active: false })
  })
  await check('private_key_jwt at every endpoint', async () => {
    const answer = await client.clientCredentialsGrant(keyed)
    assert.equal((await client.tokenIntrospection(keyed, answer.access_token)).active, false)
    await client.tokenRevocation(keyed, answer.access_token)
  })
  await check('DPoP with a nonce that was not known before', async () => {
    const pair = await client.randomDPoPKeyPair('ES256')
    const DPoP = client.getDPoPHandle(helper, pair)
    const answer = await client.genericGrantRequest(helper, EXCHANGE, wanted(), { DPoP })
    assert.equal(answer.token_type, 'dpop')
    const seen = await client.tokenIntrospection(server, answer.access_token)
    assert.equal(seen.token_type, 'DPoP')
    assert.equal(seen.cnf.jkt, await DPoP.calculateThumbprint())
    const narrow = { ...wanted(), subject_token: answer.access_token }
    await assert.rejects(client.genericGrantRequest(helper, EXCHANGE, narrow), {
      error: 'invalid_dpop_proof',
    })
    const again = await client.genericGrantRequest(helper, EXCHANGE, narrow, { DPoP })
    assert.equal(again.token_type, 'dpop')
  })
  report('openid-client')
}

{
  const open = { [oauth.allowInsecureRequests]: true }
  const url = new URL(DEPUTY)
  const as = await oauth.processDiscoveryResponse(
    url,
    await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...open }),
  )
  const helper = { client_id: 'cl_helper' }
  const server = { client_id: 'cl_server' }
  let token

  await check('discovery under the OpenID name', async () => {
    const answer = await oauth.discoveryRequest(url, { algorithm: 'oidc', ...open })
    assert.equal((await oauth.processDiscoveryResponse(url, answer)).token_endpoint, as.token_endpoint)
  })
  await check('exchange', async () => {
    const auth = oauth.ClientSecretBasic(HELPER_SECRET)
    const answer = await oauth.genericTokenEndpointRequest(as, helper, auth, EXCHANGE, wanted(), open)
    token = (await oauth.processGenericTokenEndpointResponse(as, helper, answer)).access_token
  })
  await check('the token as a resource server verifies it (RFC 9068)', async () => {
    const request = new Request(TICKETS, { headers: { authorization: `Bearer ${token}` } })
    const claims = await oauth.validateJwtAccessToken(as, request, TICKETS, open)
    assert.equal(claims.client_id, 'cl_helper')
  })
  await check('signed introspection, its signature verified', async () => {
    const auth = oauth.ClientSecretBasic(SERVER_SECRET)
    const options = { requestJwtResponse: true, ...open }
    const answer = await oauth.introspectionRequest(as, server, auth, token, options)
    const copy = answer.clone()
    const read = await oauth.processIntrospectionResponse(as, server, answer)
    assert.equal(read.active, true)
    await oauth.validateApplicationLevelSignature(as, answer, open)
    assert.equal(copy.headers.get('content-type'), 'application/token-introspection+jwt')
  })
  await check('private_key_jwt', async () => {
    const auth = oauth.PrivateKeyJwt({ key, kid })
    const keyed = { client_id: 'cl_keyed' }
    const answer = await oauth.clientCredentialsGrantRequest(as, keyed, auth, {}, open)
    assert.ok((await oauth.processClientCredentialsResponse(as, keyed, answer)).access_token)
  })
  await check('revocation', async () => {
    const auth = oauth.ClientSecretBasic(HELPER_SECRET)
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, helper, auth, token, open))
  })
  report('oauth4webapi')
}
