// The bearer checks of both TypeScript SDKs for MCP servers, unmodified: what Deputy's introspection
// says passes them, and what it calls inactive does not. The SDKs leave asking to the server, so
// openid-client asks. Prints each SDK's version and how many checks it passed.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { requireBearerAuth as expressAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { OAuthError, OAuthErrorCode, requireBearerAuth } from '@modelcontextprotocol/server'
import express from 'express'
import * as client from 'openid-client'

const { DEPUTY, HELPER_SECRET, SERVER_SECRET, ISSUER_SCRIPT } = process.env
const TICKETS = 'https://tickets.example.test/mcp'
const METADATA = 'https://tickets.example.test/.well-known/oauth-protected-resource/mcp'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const version = (name) =>
  JSON.parse(readFileSync(`${process.cwd()}/node_modules/${name}/package.json`)).version
const found = (id, secret) =>
  client.discovery(new URL(DEPUTY), id, secret, client.ClientSecretBasic(secret), {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
const helper = await found('cl_helper', HELPER_SECRET)
const server = await found('cl_server', SERVER_SECRET)

const exchanged = async (scope) => {
  const answer = await client.genericGrantRequest(helper, EXCHANGE, {
    subject_token: execFileSync(ISSUER_SCRIPT, ['token', 'alice']).toString().trim(),
    subject_token_type: ACCESS_TOKEN,
    resource: TICKETS,
    scope,
  })
  return answer.access_token
}

// What a server writes to have either SDK ask Deputy.
const verifier = (refusal) => ({
  async verifyAccessToken(token) {
    const seen = await client.tokenIntrospection(server, token)
    if (!seen.active) throw refusal()
    const { client_id: clientId, scope, exp: expiresAt, aud, sub, act } = seen
    return { token, clientId, scopes: scope.split(' '), expiresAt, resource: new URL(aud), extra: { sub, act } }
  },
})
const rules = (refusal, resource) => ({
  verifier: verifier(refusal),
  requiredScopes: ['tickets:read'],
  resourceMetadataUrl: METADATA,
  expectedResource: new URL(resource),
})

// `ask(token, resource)` is what a request with that token meets at the server of that resource.
const checks = async (name, ask) => {
  const good = await exchanged('tickets:read')
  let passed = 0
  const check = async (what, holds) => {
    assert.ok(await holds(), `${name}: ${what}`)
    passed += 1
  }
  const meets = async (token, resource, status, error) => {
    const answer = await ask(token, resource)
    return answer.status === status && (answer.challenge ?? '').includes(error)
  }
  await check('a token is taken', async () => {
    const { status, auth } = await ask(good, TICKETS)
    return status === 200 && auth.clientId === 'cl_helper' && auth.extra.act.sub === 'cl_helper'
  })
  await check('another resource refuses it', () =>
    meets(good, 'https://elsewhere.example.test/mcp', 401, 'error="invalid_token"'))
  await check('a missing scope is a 403 that names it', async () =>
    meets(await exchanged('tickets:write'), TICKETS, 403, 'scope="tickets:read"'))
  await check('no token of ours', () => meets('unknown', TICKETS, 401, METADATA))
  await client.tokenRevocation(helper, good)
  await check('a revoked token is refused at once', () =>
    meets(good, TICKETS, 401, 'error="invalid_token"'))
  console.log(`${name} ${version(name)}: ${passed} checks`)
}

await checks('@modelcontextprotocol/server', async (token, resource) => {
  const refusal = () => new OAuthError(OAuthErrorCode.InvalidToken, 'The token is not active')
  const gate = requireBearerAuth(rules(refusal, resource))
  const auth = await gate(new Request(resource, { headers: { authorization: `Bearer ${token}` } }))
  return auth instanceof Response
    ? { status: auth.status, challenge: auth.headers.get('www-authenticate') }
    : { status: 200, auth }
})

await checks('@modelcontextprotocol/sdk', async (token, resource) => {
  const refusal = () => new InvalidTokenError('The token is not active')
  const app = express()
  app.post('/mcp', expressAuth(rules(refusal, resource)), (request, response) =>
    response.json(request.auth))
  const listening = await new Promise((ready) => {
    const opened = app.listen(0, '127.0.0.1', () => ready(opened))
  })
  const url = `http://127.0.0.1:${listening.address().port}/mcp`
  const answer = await fetch(url, { method: 'POST', headers: { authorization: `Bearer ${token}` } })
  const body = await answer.json()
  listening.close()
  return { status: answer.status, challenge: answer.headers.get('www-authenticate'), auth: body }
})
