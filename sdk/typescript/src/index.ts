/**
 * Deputy for TypeScript: tokens for agents, decisions for MCP servers.
 *
 * An agent holds an `Agent` and puts `withExchange` around its `fetch`, or gives its client the provider of
 * `@deputy/mcp/client`. A server holds a `Deputy` and registers its tools on the `Guard` of
 * `@deputy/mcp/server` or `@deputy/mcp/v1`. Nothing here decides anything: Deputy does, once for every call.
 */

export { Agent, type HandOver, type ProofMaker, Subject, type Token, type Want } from './agent.js'
export { anything, type Constraint, entry, exact, oneOf, type Tools } from './authority.js'
export {
  type Answer,
  call,
  type Call,
  type Claims,
  type Decision,
  Deputy,
  permits,
  type Proof,
} from './deputy.js'
export { DeputyError, DeputyUnavailable, ExchangeRefused, WrongServer } from './errors.js'
export { type ExchangeOptions, type FetchLike, withExchange } from './exchange.js'
export type { GateOptions } from './gate.js'
export { PrivateKey } from './key.js'
export type { Credentials } from './wire.js'
