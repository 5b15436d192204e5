/** A client on version 1 of the SDK and one of its own client-credentials providers, as they ship. */

import { env } from 'node:process'

import {
  ClientCredentialsProvider,
  PrivateKeyJwtProvider,
} from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const who = {
  clientId: String(env['CLIENT_ID']),
  expectedIssuer: String(env['ISSUER']),
  // This version does not take the scopes that a server suggests.
  scope: 'tickets:read',
}
const authProvider =
  env['KEY'] === undefined
    ? new ClientCredentialsProvider({ ...who, clientSecret: String(env['CLIENT_SECRET']) })
    : new PrivateKeyJwtProvider({ ...who, privateKey: env['KEY'], algorithm: 'ES256' })
const client = new Client({ name: 'unmodified', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(String(env['SERVER'])), { authProvider }))
const result = await client.callTool({ name: 'tickets.get', arguments: { id: 4711 } })
process.stdout.write(JSON.stringify(result.content))
await client.close()
