/** A client on version 2 of the SDK and its own client-credentials provider, as it ships. */

import { env } from 'node:process'

import { Client, ClientCredentialsProvider, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'

const authProvider = new ClientCredentialsProvider({
  clientId: String(env['CLIENT_ID']),
  clientSecret: String(env['CLIENT_SECRET']),
  expectedIssuer: String(env['ISSUER']),
})
const client = new Client({ name: 'unmodified', version: '1.0.0' })
await client.connect(new StreamableHTTPClientTransport(new URL(String(env['SERVER'])), { authProvider }))
const result = await client.callTool({ name: 'tickets.get', arguments: { id: 4711 } })
process.stdout.write(JSON.stringify(result.content))
await client.close()
