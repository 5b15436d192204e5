/**
 * Authority as it goes over the wire: RFC 9396 entries of type `mcp_tool_call`.
 *
 * Any other constraint that Deputy knows can be written as the JSON object it is; these are the ones an
 * agent needs most days.
 */

import type { JsonObject } from './json.js'

/** What one argument is limited to. */
export type Constraint = JsonObject

/** A tool's name, and for each argument what it is limited to; an empty object limits nothing. */
export type Tools = Readonly<Record<string, Readonly<Record<string, Constraint>>>>

/** The argument is this value. Numbers compare by value. */
export function exact(value: unknown): Constraint {
  return { constraint_type: 'exact', value }
}

/** The argument is one of these values. */
export function oneOf(...values: readonly unknown[]): Constraint {
  return { constraint_type: 'one_of', values }
}

/** The argument must be there and may be anything. */
export function anything(): Constraint {
  return { constraint_type: 'wildcard' }
}

/** The authority to call `tools` at `location`, and nothing else. */
export function entry(location: string, tools: Tools): JsonObject {
  return { type: 'mcp_tool_call', locations: [location], tools }
}
