/** Something at Deputy's place that answers as it likes. */

import type { RequestListener } from 'node:http'

import { Socket } from './world.js'

/** What it was asked: the path, and the form or the body as text. */
export interface Asked {
  readonly path: string
  readonly text: string
  readonly form: URLSearchParams
  /** What came in the header `DPoP`. */
  readonly proof: string | undefined
}

/** What it answers; nothing at all if there is no answer. */
export interface Told {
  readonly status?: number
  readonly body?: string | object
  readonly headers?: Record<string, string>
}

export type Reply = (asked: Asked) => Told | undefined | Promise<Told | undefined>

export interface Pretender {
  readonly base: string
  readonly issuer: string
  readonly asked: Asked[]
  /** How many connections it was asked over. */
  readonly connections: () => number
}

/** Runs `use` against somebody who answers as `reply` says. */
export async function pretending<T>(reply: Reply, use: (pretender: Pretender) => Promise<T>): Promise<T> {
  const socket = await Socket.open()
  const connections = socket.count()
  const asked: Asked[] = []
  socket.serve(answering(reply, asked))
  try {
    return await use({ base: socket.base, issuer: `${socket.base}/oauth2`, asked, connections })
  } finally {
    socket.close()
  }
}

function answering(reply: Reply, asked: Asked[]): RequestListener {
  return (request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    request.on('end', () => {
      const proof = request.headers['dpop']
      const one = {
        path: request.url ?? '',
        text,
        form: new URLSearchParams(text),
        proof: typeof proof === 'string' ? proof : undefined,
      }
      asked.push(one)
      void Promise.resolve(reply(one)).then((told) => {
        if (told === undefined) {
          response.destroy()
          return
        }
        const { status = 200, body = '', headers = {} } = told
        response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
      })
    })
  }
}
