/**
 * Deputy for servers on `@modelcontextprotocol/sdk` (1.x), under Express or plain `node:http`.
 *
 * Register the tools on a `Guard` instead of the server, put its `middleware` before the transport, and
 * `attach` it to every server that is made.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'

import type { McpServer, ToolCallback } from '@modelcontextprotocol/sdk/server/mcp.js'
import {
  type AnySchema,
  normalizeObjectSchema,
  safeParseAsync,
  type ZodRawShapeCompat,
} from '@modelcontextprotocol/sdk/server/zod-compat.js'
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'
import type { ToolAnnotations } from '@modelcontextprotocol/sdk/types.js'

import type { Claims } from './deputy.js'
import { result } from './denial.js'
import { type Seen, SESSION, type Validate } from './gate.js'
import { Guard as Core } from './guard.js'
import { readJson } from './message.js'

type Schema = ZodRawShapeCompat | AnySchema

/** What `McpServer.registerTool` wants to know about a tool. */
export interface ToolConfig<Input extends Schema | undefined, Output extends Schema> {
  title?: string
  description?: string
  inputSchema?: Input
  outputSchema?: Output
  annotations?: ToolAnnotations
  _meta?: Record<string, unknown>
}

/** A request of `node:http`, and what Express and the SDK put on it. */
export interface NodeRequest extends IncomingMessage {
  originalUrl?: string
  body?: unknown
  auth?: AuthInfo
}

type AnyCallback = (...received: unknown[]) => ReturnType<ToolCallback>

/** The tools of a server that Deputy guards, and what stands before its transport. */
export class Guard extends Core {
  readonly #added: ((server: McpServer) => void)[] = []

  /** Registers a tool, as `McpServer.registerTool` does. What its schema makes of the arguments is decided. */
  registerTool<Output extends Schema, Input extends Schema | undefined = undefined>(
    name: string,
    config: ToolConfig<Input, Output>,
    callback: ToolCallback<Input>,
  ): void {
    this.define(name, validator(config.inputSchema))
    const guarded = this.#guarded(name, config.inputSchema !== undefined, callback as AnyCallback)
    this.#added.push((server) => {
      server.registerTool(name, config, guarded as ToolCallback<Input>)
    })
  }

  /** Adds the guard's tools to a server. */
  attach(server: McpServer): McpServer {
    for (const add of this.#added) {
      add(server)
    }
    return server
  }

  /**
   * Stands before `StreamableHTTPServerTransport.handleRequest`: lets through what may pass, with the body
   * read into `request.body` and the token's owner in `request.auth`, and answers the rest.
   *
   * It serves the metadata of RFC 9728 too. Everything else that it sees is guarded, whatever its path: a
   * router may take more paths for the server's than the one. Put routes that are open before it.
   */
  readonly middleware = (request: NodeRequest, response: ServerResponse, next: (error?: unknown) => void): void => {
    this.#serve(request, response).then(
      (mayPass) => {
        if (mayPass) {
          next()
        }
      },
      (error: unknown) => {
        next(error)
      },
    )
  }

  async #serve(request: NodeRequest, response: ServerResponse): Promise<boolean> {
    const seen: Seen = {
      method: request.method ?? 'GET',
      path: pathOf(request),
      headers: headersOf(request),
      // `express.json()` may have been here before.
      read: () => (request.body === undefined ? readJson(request) : Promise.resolve(request.body)),
    }
    const admitted = this.gate.document(seen) ?? (await this.gate.admit(seen))
    if (admitted instanceof Response) {
      await send(admitted, response)
      return false
    }
    request.body = admitted.body
    request.auth = this.authInfo(admitted)
    this.#watch(response, admitted.claims)
    return true
  }

  /** Takes note of the session that an answer opens, before its client can know of it. */
  #watch(response: ServerResponse, claims: Claims): void {
    const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => ServerResponse
    response.writeHead = (...head: unknown[]): ServerResponse => {
      const written = head.find((part) => typeof part === 'object' && part !== null)
      const session = sessionIn(written) ?? response.getHeader(SESSION)
      this.gate.opened(typeof session === 'string' ? session : undefined, claims)
      return writeHead(...head)
    }
  }

  #guarded(name: string, takesArguments: boolean, callback: AnyCallback): AnyCallback {
    return async (...received) => {
      const { authInfo } = received.at(-1) as { authInfo?: AuthInfo }
      const args = takesArguments ? received[0] : undefined
      const denied = await this.lastCheck(authInfo, name, args)
      return denied === undefined ? callback(...received) : result(denied)
    }
  }
}

function validator(schema: Schema | undefined): Validate {
  if (schema === undefined) {
    return () => Promise.resolve({ value: undefined })
  }
  // What the SDK itself makes of the two forms of a schema.
  const whole = normalizeObjectSchema(schema) ?? (schema as AnySchema)
  return async (args) => {
    const outcome = await safeParseAsync(whole, args ?? {})
    return outcome.success ? { value: outcome.data } : undefined
  }
}

/** The path as the client said it, wherever the middleware is mounted. */
function pathOf(request: NodeRequest): string {
  return new URL(request.originalUrl ?? request.url ?? '/', 'http://localhost').pathname
}

function headersOf(request: NodeRequest): Headers {
  const pairs = Object.entries(request.headersDistinct).flatMap(([name, values]) =>
    (values ?? []).map((value): [string, string] => [name, value]),
  )
  return new Headers(pairs)
}

function sessionIn(head: unknown): unknown {
  if (Array.isArray(head)) {
    const at = head.findIndex((part) => String(part).toLowerCase() === SESSION)
    return at < 0 ? undefined : head[at + 1]
  }
  return Object.entries(head ?? {}).find(([name]) => name.toLowerCase() === SESSION)?.[1]
}

async function send(answer: Response, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, Object.fromEntries(answer.headers))
  response.end(await answer.text())
}
