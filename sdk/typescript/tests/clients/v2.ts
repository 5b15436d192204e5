/** A client on version 2 of the SDK and one of its own client-credentials providers, as they ship. */

import { env } from 'node:process'

import {
  Client,
  ClientCredentialsProvider,
  PrivateKeyJwtProvider,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'

const who = { clientId: String(env['CLIENT_ID']), expectedIssuer: String(env['ISSUER']) }
const authProvider =
  env['KEY'] === undefined
    ? new ClientCredentialsProvider({ ...who, clientSecret: String(env['CLIENT_SECRET']) })
    : new PrivateKeyJwtProvider({ ...who, privateKey: env['KEY'], algorithm: 'ES256' })
const mode = env['PIN'] === undefined ? 'legacy' : { pin: env['PIN'] }
const client = new Client({ name: 'unmodified', version: '1.0.0' }, { versionNegotiation: { mode } })
await client.connect(new StreamableHTTPClientTransport(new URL(String(env['SERVER'])), { authProvider }))
const result = await client.callTool({ name: 'tickets.get', arguments: { id: 4711 } })
process.stdout.write(JSON.stringify(result.content))
await client.close()
