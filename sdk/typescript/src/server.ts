/**
 * Deputy for servers on `@modelcontextprotocol/server` (2.x), in both eras of the protocol.
 *
 * Register the tools on a `Guard` instead of the server, and serve its `handler`.
 */

import {
  type AuthInfo,
  createMcpHandler,
  type CreateMcpHandlerOptions,
  type Icon,
  type McpHttpHandler,
  type McpRequestContext,
  McpServer,
  OAuthError,
  OAuthErrorCode,
  type OAuthTokenVerifier,
  type ScopeChallengeHandler,
  type ServerContext,
  type StandardSchemaWithJSON,
  type ToolAnnotations,
  type ToolCallback,
} from '@modelcontextprotocol/server'

import { result } from './denial.js'
import { type Seen, SESSION, type Validate } from './gate.js'
import { Guard as Core } from './guard.js'
import { readJson } from './message.js'
import { scopes } from './exchange.js'

/** What `McpServer.registerTool` wants to know about a tool. */
export interface ToolConfig<
  Input extends StandardSchemaWithJSON | undefined,
  Output extends StandardSchemaWithJSON,
> {
  title?: string
  description?: string
  inputSchema?: Input
  outputSchema?: Output
  annotations?: ToolAnnotations
  icons?: Icon[]
  _meta?: Record<string, unknown>
}

/** What a guard serves: the server's address, its metadata, and nothing else. */
export interface GuardedHandler extends Pick<McpHttpHandler, 'close' | 'notify' | 'bus'> {
  /** Serves one request; `toNodeHandler` of `@modelcontextprotocol/node` takes it as it is. */
  readonly fetch: (request: Request) => Promise<Response>
}

/** Makes the server for one request; the guard's tools are added to it. */
export type MakeServer = (context: McpRequestContext) => McpServer | Promise<McpServer>

type AnyCallback = (...received: unknown[]) => ReturnType<ToolCallback>

/** The tools of a server that Deputy guards, and what serves them. */
export class Guard extends Core {
  readonly #added: ((server: McpServer) => void)[] = []

  /** Registers a tool, as `McpServer.registerTool` does. What its schema makes of the arguments is decided. */
  registerTool<
    Output extends StandardSchemaWithJSON,
    Input extends StandardSchemaWithJSON | undefined = undefined,
  >(name: string, config: ToolConfig<Input, Output>, callback: ToolCallback<Input>): void {
    this.define(name, validator(config.inputSchema))
    const guarded = this.#guarded(name, config.inputSchema !== undefined, callback as AnyCallback)
    const scopeChallenge = this.#scopeChallenge(name)
    this.#added.push((server) => {
      server.registerTool(name, { ...config, scopeChallenge }, guarded as ToolCallback<Input>)
    })
  }

  /** Adds the guard's tools to a server, for who serves it in another way than by `handler`. */
  attach(server: McpServer): McpServer {
    for (const add of this.#added) {
      add(server)
    }
    return server
  }

  /**
   * Serves the tools at the path of `deputy.resource`, and the metadata of RFC 9728 where clients look for
   * it. Deputy is asked once for every request, before a server is made for it.
   */
  handler(makeServer: MakeServer, options: CreateMcpHandlerOptions = {}): GuardedHandler {
    const handler = createMcpHandler(async (context) => this.attach(await makeServer(context)), options)
    const { close, notify, bus } = handler
    return { close, notify, bus, fetch: (request) => this.#serve(request, handler) }
  }

  /**
   * Tells `requireBearerAuth` of the SDK whose token it is, for who serves in another way than by `handler`.
   *
   * It sees no call, so it asks about the token, and the tool's scope challenge then about the call.
   */
  verifier(): OAuthTokenVerifier {
    return {
      verifyAccessToken: async (token) => {
        const { claims } = await this.deputy.introspect(token)
        if (claims === undefined) {
          throw new OAuthError(OAuthErrorCode.InvalidToken, 'the token is not, or no longer, good here')
        }
        return this.authInfo({ token, claims, body: undefined })
      },
    }
  }

  async #serve(request: Request, handler: McpHttpHandler): Promise<Response> {
    const { pathname: path } = new URL(request.url)
    const seen: Seen = {
      method: request.method,
      path,
      headers: request.headers,
      read: () => readJson((request.body ?? []) as AsyncIterable<Uint8Array>),
    }
    const document = this.gate.document(seen)
    if (document !== undefined) {
      return document
    }
    if (!this.gate.isHere(path)) {
      const description = `the server is registered at \`${this.deputy.resource}\` and serves no other path`
      return Response.json({ error: 'not_found', error_description: description }, { status: 404 })
    }
    const admitted = await this.gate.admit(seen)
    if (admitted instanceof Response) {
      return admitted
    }
    const authInfo: AuthInfo = this.authInfo(admitted)
    const body = admitted.body === undefined ? {} : { parsedBody: admitted.body }
    const response = await handler.fetch(request, { authInfo, ...body })
    this.gate.opened(response.headers.get(SESSION) ?? undefined, admitted.claims)
    return response
  }

  #guarded(name: string, takesArguments: boolean, callback: AnyCallback): AnyCallback {
    return async (...received) => {
      const context = received.at(-1) as ServerContext
      const args = takesArguments ? received[0] : undefined
      const denied = await this.lastCheck(context.http?.authInfo, name, args)
      return denied === undefined ? callback(...received) : result(denied)
    }
  }

  /** 403 with the exact scope, before a call is dispatched that came without the gate. */
  #scopeChallenge(name: string): ScopeChallengeHandler {
    return async ({ request, authInfo }) => {
      if (authInfo === undefined) {
        return undefined
      }
      const [first, ...others] = scopes(await this.askAhead(authInfo, name, request.params?.['arguments']))
      return first === undefined ? undefined : { scopes: [first, ...others] }
    }
  }
}


function validator(schema: StandardSchemaWithJSON | undefined): Validate {
  if (schema === undefined) {
    return () => Promise.resolve({ value: undefined })
  }
  return async (args) => {
    const outcome = await schema['~standard'].validate(args ?? {})
    return outcome.issues === undefined ? { value: outcome.value } : undefined
  }
}
