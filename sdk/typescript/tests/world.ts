/**
 * Everybody on stage: a real Deputy on SQLite, an issuer, three agents and two MCP servers.
 *
 * Nothing is simulated: Deputy is the binary, the servers are the SDKs' own on sockets of this machine.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env } from 'node:process'
import { createInterface } from 'node:readline'

import { Agent, Deputy, PrivateKey, Subject } from '../src/index.js'

const DEPUTY = env['DEPUTY_BIN'] ?? 'deputy'
const IDP = 'https://idp.example.test'
const AUDIENCE = 'deputy'
export const URIS = {
  support: 'urn:agent:support',
  billing: 'urn:agent:billing',
  ledger: 'urn:agent:ledger',
} as const
export type Who = keyof typeof URIS
export type Place = 'tickets' | 'refunds'
/** An unoptimised Deputy on a busy machine takes its time to verify a secret. */
export const PATIENCE_MS = 60_000

const SCHEMAS = {
  'tickets.get': { id: { type: 'integer' } },
  'tickets.close': { id: { type: 'integer' } },
  'tickets.notes': { id: { type: 'integer' } },
  'tickets.search': { text: { type: 'string' }, limit: { type: 'integer' } },
  'refunds.list': { order_id: { type: 'string' } },
  'refunds.export': { days: { type: 'integer' } },
}
const NEEDS: Record<string, string> = { 'tickets.close': 'tickets:write', 'tickets.notes': 'tickets:notes' }
const EFFECTS: Record<string, string> = { 'tickets.close': 'write', 'refunds.export': 'egress' }

export interface Proved {
  readonly clientId: string
  readonly uri: string
  readonly mine: PrivateKey
  readonly another: PrivateKey
}

export interface Identity {
  readonly clientId: string
  readonly clientSecret: string
}

/** A server on a free port, which serves what it is given later. */
export class Socket {
  /** What is served at present. */
  listener: RequestListener = (_, response) => response.writeHead(503).end()

  private constructor(
    private readonly server: Server,
    readonly base: string,
  ) {}

  static async open(): Promise<Socket> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const socket = new Socket(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    server.on('request', (request, response) => {
      socket.listener(request, response)
    })
    return socket
  }

  serve(listener: RequestListener): void {
    this.listener = listener
  }

  /** How many connections were made so far. */
  count(): () => number {
    let made = 0
    this.server.on('connection', () => made++)
    return () => made
  }

  close(): void {
    this.server.close()
    this.server.closeAllConnections()
  }
}

/** An identity provider: one key, and tokens that it signs. */
class Issuer {
  readonly #key = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  jwks(): unknown {
    const jwk = this.#key.publicKey.export({ format: 'jwk' })
    return { keys: [{ ...jwk, kid: 'k1', use: 'sig', alg: 'ES256' }] }
  }

  token(claims: Record<string, unknown>): string {
    const now = Math.floor(Date.now() / 1000)
    const encoded = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const head = encoded({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
    const body = encoded({ iss: IDP, jti: randomUUID(), iat: now, exp: now + 3600, ...claims })
    const key = { key: this.#key.privateKey, dsaEncoding: 'ieee-p1363' as const }
    return `${head}.${body}.${sign('sha256', Buffer.from(`${head}.${body}`), key).toString('base64url')}`
  }
}

/** A running Deputy, and its administrator. */
class Process {
  #token = ''

  private constructor(
    readonly base: string,
    private readonly folder: string,
    private readonly child: ChildProcess,
  ) {}

  /** `publicUrl` is where clients find it, if that is not where it listens. */
  static async start(publicUrl: string | undefined): Promise<Process> {
    const socket = await Socket.open()
    const { base } = socket
    socket.close()
    const folder = mkdtempSync(join(tmpdir(), 'deputy-typescript-'))
    const address = base.replace('http://', '')
    const known = publicUrl === undefined ? {} : { DEPUTY_PUBLIC_URL: publicUrl }
    const child = spawn(DEPUTY, ['serve', '--listen', address, '--log-level', 'warn'], {
      cwd: folder,
      env: { ...env, ...known },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const started = new Process(base, folder, child)
    await started.#ready()
    return started
  }

  async #ready(): Promise<void> {
    if (this.child.stdout === null) {
      throw new Error('Deputy has no output')
    }
    for await (const line of createInterface(this.child.stdout)) {
      if (line.startsWith('admin token')) {
        this.#token = readFileSync(join(this.folder, 'keys', 'admin-token'), 'utf8').trim()
        return
      }
    }
    throw new Error('Deputy did not start')
  }

  stop(): void {
    this.child.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }

  async admin(method: string, path: string, document: unknown): Promise<Record<string, unknown>> {
    const response = await fetch(`${this.base}/admin/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.#token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(document),
    })
    const text = await response.text()
    if (!response.ok) {
      throw new Error(`${method} ${path}: ${response.status} ${text}`)
    }
    return (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>
  }

  async client(name: string, more: object = {}): Promise<Identity> {
    const document = { client_id: `cl_${name}`, name, ...more }
    const created = await this.admin('POST', '/clients', document)
    return { clientId: String(created['client_id']), clientSecret: String(created['client_secret']) }
  }
}

export class World {
  readonly issuer: string
  readonly #idp = new Issuer()
  readonly agents = new Map<Who, Identity>()
  readonly owners = new Map<Place, Identity>()
  readonly sockets = new Map<Place, Socket>()

  private constructor(
    private readonly process: Process,
    publicUrl: string,
    private readonly urls: Partial<Record<Place, string>>,
  ) {
    this.issuer = `${publicUrl}/oauth2`
  }

  /** Clients find Deputy at `publicUrl`, and servers at `urls`, if not where they listen. */
  static async open(publicUrl?: string, urls: Partial<Record<Place, string>> = {}): Promise<World> {
    const process = await Process.start(publicUrl)
    const world = new World(process, publicUrl ?? process.base, urls)
    try {
      await world.#register()
    } catch (error) {
      world.close()
      throw error
    }
    return world
  }

  close(): void {
    this.process.stop()
    for (const socket of this.sockets.values()) {
      socket.close()
    }
  }

  /** Where Deputy listens. */
  get base(): string {
    return this.process.base
  }

  url(place: Place): string {
    return this.urls[place] ?? `${this.socket(place).base}/mcp`
  }

  socket(place: Place): Socket {
    return known(this.sockets.get(place))
  }

  /** A person nobody has acted for yet, and her access token. */
  user(name = 'alice'): { sub: string; token: string; subject: Subject } {
    const sub = `${name}-${randomUUID().slice(0, 8)}`
    const claims = { sub, aud: AUDIENCE, client_id: 'support-desk', groups: ['support'] }
    const token = this.#idp.token(claims)
    return { sub, token, subject: Subject.accessToken(token) }
  }

  owner(place: Place): Identity {
    return known(this.owners.get(place))
  }

  identity(who: Who): Identity {
    return known(this.agents.get(who))
  }

  agent(who: Who = 'support', more: Partial<ConstructorParameters<typeof Agent>[0]> = {}): Agent {
    return new Agent({ issuer: this.issuer, timeoutMs: PATIENCE_MS, ...this.identity(who), ...more })
  }

  deputy(place: Place): Deputy {
    const known = { issuer: this.issuer, resource: this.url(place), timeoutMs: PATIENCE_MS }
    return new Deputy({ ...known, ...this.owner(place) })
  }

  /** An agent that may read tickets of its own accord, and proves itself by a key: its id, and the key. */
  async keyed(): Promise<{ clientId: string; key: string }> {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'ES256' }
    const own = [{ resource: 'tickets', scope: 'tickets:read' }]
    const { clientId } = await this.process.client('keyed-agent', {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [jwk] },
      agent: { uri: 'urn:agent:keyed', allowance: [], own_allowance: own },
    })
    return { clientId, key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() }
  }

  /** An agent that may read tickets of its own accord, and sends its secret in the body. */
  async machine(): Promise<Identity> {
    const own = [{ resource: 'tickets', scope: 'tickets:read' }]
    return this.process.client('machine', {
      token_endpoint_auth_method: 'client_secret_post',
      agent: { uri: 'urn:agent:machine', allowance: [], own_allowance: own },
    })
  }

  /** An agent that proves itself by a key, and gets tickets handed over; and a key that is not its own. */
  async proved(alg: 'ES256' | 'EdDSA'): Promise<Proved> {
    const pair = () =>
      alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
    const { publicKey, privateKey } = pair()
    const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg }
    const name = `proved-${alg.toLowerCase()}`
    const uri = `urn:agent:${name}`
    const tickets = { resource: 'tickets', scope: 'tickets:read' }
    const { clientId } = await this.process.client(name, {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [jwk] },
      agent: { uri, allowance: [tickets] },
    })
    const edge = { ceiling: [tickets], effects: ['read'] }
    await this.process.admin('PUT', `/edges/cl_support-agent/${clientId}`, edge)
    const [mine, another] = [privateKey, pair().privateKey].map((key) => new PrivateKey(key, 'k1'))
    return { clientId, uri, mine: known(mine), another: known(another) }
  }

  async revokeUser(sub: string): Promise<void> {
    await this.process.admin('POST', '/revocations', { subject: { iss: IDP, sub } })
  }

  async #register(): Promise<void> {
    await this.#server('tickets')
    await this.#server('refunds')
    const tickets = { resource: 'tickets', scope: 'tickets:read tickets:write tickets:notes' }
    const refunds = { resource: 'refunds', scope: 'refunds:read' }
    await this.#agent('support', { allowance: [tickets, refunds], own_allowance: [tickets] })
    await this.#agent('billing', { allowance: [refunds] })
    await this.#agent('ledger', { allowance: [refunds] })
    await this.process.admin('POST', '/issuers', {
      issuer: IDP,
      alias: 'corp',
      primary: true,
      keys: { jwks: this.#idp.jwks() },
      algorithms: ['ES256'],
      access_tokens: { audiences: [AUDIENCE] },
      agents: { 'cl_support-agent': ['support-desk'] },
      grant_rules: [
        { kind: 'access_token', claims: { groups: ['support'] }, any_scope: true, gives: [tickets, refunds] },
      ],
    })
    for (const [from, to] of [
      ['support', 'billing'],
      ['billing', 'ledger'],
    ]) {
      const edge = { ceiling: [refunds], effects: ['read'] }
      await this.process.admin('PUT', `/edges/cl_${from}-agent/cl_${to}-agent`, edge)
    }
  }

  async #agent(who: Who, document: object): Promise<void> {
    const agent = { uri: URIS[who], ...document }
    this.agents.set(who, await this.process.client(`${who}-agent`, { agent }))
  }

  async #server(place: Place): Promise<void> {
    const owner = await this.process.client(`${place}-server`)
    this.owners.set(place, owner)
    this.sockets.set(place, await Socket.open())
    await this.process.admin('POST', '/resources', {
      id: place,
      resource: this.url(place),
      owner: owner.clientId,
      name: place,
      scopes_supported: [`${place}:read`, `${place}:write`, `${place}:notes`],
      dpop: 'deputy',
    })
    const tools = Object.entries(SCHEMAS).filter(([name]) => name.startsWith(place))
    await this.process.admin('POST', `/resources/${place}/tools/import`, {
      tools_list: {
        tools: tools.map(([name, properties]) => ({ name, inputSchema: { type: 'object', properties } })),
      },
      assign: Object.fromEntries(
        tools.map(([name]) => [
          name,
          { scopes: [NEEDS[name] ?? `${place}:read`], effect: EFFECTS[name] ?? 'read' },
        ]),
      ),
    })
  }
}

export function known<T>(value: T | undefined): T {
  if (value === undefined) {
    throw new Error('not on stage')
  }
  return value
}
