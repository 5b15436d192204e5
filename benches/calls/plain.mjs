/** The TypeScript server of the examples as it was before Deputy: the floor of a call. */

import { createServer } from 'node:http'
import { argv } from 'node:process'

import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'

const inputSchema = z.object({ id: z.number().int() })
const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'Tickets', version: '1.0.0' })
  server.registerTool('tickets.get', { description: 'Read one ticket.', inputSchema }, ({ id }) => ({
    content: [{ type: 'text', text: `ticket ${id}` }],
  }))
  return server
})
const serve = toNodeHandler(handler)
createServer((request, response) => void serve(request, response)).listen(Number(argv[2]), '127.0.0.1')
