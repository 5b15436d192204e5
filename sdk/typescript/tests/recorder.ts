/** Stands between a client and a server, passes everything on, and writes down what went by. */

import { type IncomingHttpHeaders, type IncomingMessage, request as send, type RequestListener } from 'node:http'

/** The headers that say something about discovery, authorization or the protocol. */
const REQUEST_HEADERS = ['authorization', 'content-type', 'mcp-protocol-version', 'mcp-method', 'mcp-name']
const RESPONSE_HEADERS = ['www-authenticate', 'content-type', 'cache-control']
/** The longest body that is shown whole, in characters. */
const MAX_SHOWN = 400

interface Exchange {
  readonly method: string
  readonly base: string
  readonly path: string
  readonly request: string[]
  response: string[]
}

/** What went by, in the order in which it was asked. */
export class Recorder {
  readonly #exchanges: Exchange[] = []
  readonly #answers: Promise<void>[] = []

  /** Passes requests to `base` on to `target`, and writes them down. */
  forward(base: string, target: string): RequestListener {
    return (request, response) => {
      const { method = 'GET', url = '/', headers } = request
      const exchange: Exchange = { method, base, path: url, request: [], response: [] }
      this.#exchanges.push(exchange)
      collect(request, (body) => exchange.request.push(...shown(headers, REQUEST_HEADERS, body)))
      let ended: () => void
      this.#answers.push(new Promise((resolve) => (ended = resolve)))
      const onward = send(target + url, { method, headers }, (answer) => {
        const status = String(answer.statusCode)
        collect(answer, (body) => {
          exchange.response = [status, ...shown(answer.headers, RESPONSE_HEADERS, body)]
        })
        answer.on('close', () => {
          ended()
        })
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      })
      onward.on('error', () => response.destroy())
      request.pipe(onward)
    }
  }

  /** Waits until every answer has gone by: a client may be done before. */
  async settled(): Promise<void> {
    await Promise.all(this.#answers)
  }

  /**
   * The transcript, with the texts of `names` in the places of what they stand for.
   *
   * What the server asks Deputy is left out, and so is the stream that a client of 2025 opens with GET, under
   * its token, beside its calls: when it comes is chance.
   */
  transcript(names: ReadonlyMap<string, string>): string {
    const told = this.#exchanges
      .filter((exchange) => !exchange.path.endsWith('/introspect') && !isStream(exchange))
      .map(({ method, base, path, request, response }) =>
        [`> ${method} ${base}${path}`, ...request, ...response].join('\n'),
      )
    let text = told.join('\n\n')
    for (const [found, name] of names) {
      text = text.replaceAll(found, name)
    }
    return text
  }
}

function isStream({ method, path, request }: Exchange): boolean {
  return method === 'GET' && path === '/mcp' && request.some((line) => line.startsWith('  authorization'))
}

function collect(stream: IncomingMessage, done: (body: string) => void): void {
  const pieces: Buffer[] = []
  stream.on('data', (piece: Buffer) => pieces.push(piece))
  stream.on('end', () => {
    done(Buffer.concat(pieces).toString())
  })
}

function shown(headers: IncomingHttpHeaders, names: readonly string[], body: string): string[] {
  const lines = names.flatMap((name) => {
    const value = headers[name]
    return value === undefined ? [] : [`  ${name}: ${masked(String(value))}`]
  })
  return body === '' ? lines : [...lines, ...readable(body, headers).map((line) => `  ${line}`)]
}

/** A body as people read it: a form one parameter a line, an event stream or JSON in one line. */
function readable(body: string, headers: IncomingHttpHeaders): string[] {
  const type = headers['content-type'] ?? ''
  if (type.startsWith('application/x-www-form-urlencoded')) {
    return Array.from(new URLSearchParams(body), ([name, value]) => `${name}=${value}`)
  }
  const events = body.split('\n').filter((line) => line.startsWith('data: ') && line.length > 6)
  const texts = type.startsWith('text/event-stream') ? events : [body]
  return texts.map((text) => {
    const line = masked(text.trim())
    return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN)} …` : line
  })
}

/** Nothing that opens anything is written down. */
function masked(text: string): string {
  return text
    .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '(token)')
    .replace(/Basic ([\w+/]+=*)/g, (_, pair: string) => {
      const [id] = Buffer.from(pair, 'base64').toString().split(':')
      return `Basic base64(${String(id)}:(secret))`
    })
}
