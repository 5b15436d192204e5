/** JSON read strictly, and written so that equal values are equal texts. */

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>

/** How deep a value may be nested: Deputy reads no deeper. */
const MAX_DEPTH = 32

/** Texts, and the marks that tell where an object's members begin and end. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],]/g

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads one JSON value. Throws `SyntaxError` for what is not JSON, or repeats a member of an object. */
export function parse(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (repeatsMember(text)) {
    throw new SyntaxError('a member is repeated')
  }
  return value
}

/**
 * The one text for a value: members sorted, no spaces.
 *
 * Throws `TypeError` for what JSON cannot say (a `Date`, `NaN`, a cycle) or Deputy would not read.
 */
export function canonical(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) {
    throw new TypeError(`the value is nested deeper than ${MAX_DEPTH}`)
  }
  if (Array.isArray(value)) {
    return `[${value.map((item) => canonical(item, depth + 1)).join(',')}]`
  }
  if (isObject(value)) {
    return members(value, depth)
  }
  if (typeof value === 'string' || typeof value === 'boolean' || value === null || Number.isFinite(value)) {
    return JSON.stringify(value)
  }
  throw new TypeError('the value cannot be written as JSON')
}

function members(value: JsonObject, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError('the value is not a plain object')
  }
  const present = Object.keys(value).filter((name) => value[name] !== undefined)
  const said = present.sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name], depth + 1)}`)
  return `{${said.join(',')}}`
}

/** Whether an object in this text, which is JSON, has two members of one name. */
function repeatsMember(text: string): boolean {
  // For each open bracket: the names seen if it is an object's, and nothing if it is an array's.
  const open: (Set<string> | undefined)[] = []
  let nameComes = false
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === '{' || token === '[') {
      open.push(token === '{' ? new Set() : undefined)
      nameComes = token === '{'
    } else if (token === '}' || token === ']') {
      open.pop()
      nameComes = false
    } else if (token === ',') {
      nameComes = open.at(-1) !== undefined
    } else if (nameComes) {
      const name = JSON.parse(token) as string
      const seen = open.at(-1)
      if (seen?.has(name) === true) {
        return true
      }
      seen?.add(name)
      nameComes = false
    }
  }
  return false
}
