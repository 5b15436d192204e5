/** A client on version 1 of the SDK and its own client-credentials provider, as it ships. */

import { env } from 'node:process'

import { ClientCredentialsProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const authProvider = new ClientCredentialsProvider({
  clientId: String(env['CLIENT_ID']),
  clientSecret: String(env['CLIENT_SECRET']),
  expectedIssuer: String(env['ISSUER']),
  // This version does not take the scopes that a server suggests.
  scope: 'tickets:read',
})
const client = new Client({ name: 'unmodified', version: '1.0.0' })
const transport = new StreamableHTTPClientTransport(new URL(String(env['SERVER'])), { authProvider })
await client.connect(transport)
const result = await client.callTool({ name: 'tickets.get', arguments: { id: 4711 } })
process.stdout.write(JSON.stringify(result.content))
await client.close()
