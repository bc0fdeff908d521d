// What a scenario plays on: a service, a server, agents and an access, as the built programs in processes of
// their own. Each keeps its ports over restarts.
import { mkdirSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { LoadTargets } from './load.ts'
import { makeLink, NEAR_ADDRESS, type Link } from './link.ts'
import { NODE, Program, type Level } from './program.ts'
import { Relay } from './relay.ts'

/** Name of the HTTP endpoint and of the TCP endpoint. */
const WEB = 'web'
const RAW = 'raw'

/** Path of the server's program. */
export const SERVER = fileURLToPath(
  new URL('../../../apps/server/bin/adit-server.js', import.meta.url),
)
/** Path of the agent's program. */
export const AGENT = fileURLToPath(new URL('../../../apps/agent/bin/adit.js', import.meta.url))
const SERVICE = fileURLToPath(new URL('service.ts', import.meta.url))
/** Of each session, as long as it lasts. */
const CONTROL_STREAMS = 1
const LISTENERS = ['proxy', 'upstream', 'admin'] as const

/** How a program is started. */
export interface Surroundings {
  /** Put before its command. */
  readonly prefix?: readonly string[]
  /** Flags for Node. */
  readonly node?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** What a scenario plays on. */
export interface StageOptions {
  /** Agents, all of them with the same endpoints. Default 1. */
  readonly agents?: number
  /** More HTTP endpoints of each agent, with the same service. */
  readonly endpoints?: readonly string[]
  /** A relay between the agents and the server; the number is its bytes per second. */
  readonly relay?: true | number
  /** Agents and service are in a network of their own, behind a link. */
  readonly link?: boolean
  /** Keep-alive of the service, ms. Default 5000. */
  readonly keepAliveMs?: number
  /** A fault of the service, for the test of the checker. */
  readonly fault?: string
  /** Nothing between load and service, for the test of the checker. */
  readonly direct?: boolean
  /** How the server is started. */
  readonly server?: Surroundings
  /** How each agent is started. */
  readonly agent?: Surroundings
}

/** What is open and used while nothing is to be done. */
export interface StageLevel {
  readonly programs: ReadonlyMap<string, Level>
  /** Streams of visitors, running requests, upgraded connections and visitors at the server. */
  readonly open: number
  /** Streams of visitors alone. */
  readonly streams: number
}

/** A running stage. */
export class Stage implements AsyncDisposable {
  /** Where services note what they execute. */
  readonly ledger: string
  /** Where the server keeps what lasts. */
  readonly dataDir: string
  readonly service: Program
  readonly server: Program
  readonly agents: readonly Program[]
  readonly access: Program
  readonly #folder: string
  readonly #options: StageOptions
  readonly #ports = { http: 0, tcp: 0, proxy: 0, upstream: 0, admin: 0, access: 0 }
  #relay: Relay | undefined
  #link: Link | undefined

  /** `folder` is empty and exists. */
  constructor(folder: string, options: StageOptions = {}) {
    this.#folder = folder
    this.#options = options
    this.ledger = join(folder, 'ledger')
    this.dataDir = join(folder, 'data')
    const { keepAliveMs = 5000, fault = 'none', agents = 1 } = options
    const tsx = import.meta.resolve('tsx')
    this.service = new Program('service', () => ({
      line: [
        ...(this.#link?.prefix ?? []),
        NODE,
        '--import',
        tsx,
        SERVICE,
        `--ledger=${this.ledger}`,
        `--fault=${fault}`,
        `--http=${this.#ports.http}`,
        `--tcp=${this.#ports.tcp}`,
        `--keep-alive=${keepAliveMs}`,
      ],
    }))
    this.server = this.#program('server', SERVER, options.server, () => [
      ...LISTENERS.map((name) => `--${name}.bind-addr=${this.#bindOf(name)}`),
      `--data-dir=${this.dataDir}`,
      '--insecure-open',
    ])
    this.agents = Array.from({ length: agents }, (_, index) => {
      const args = (): string[] => ['start', `--config=${this.#writeAgentFile(index)}`]
      return this.#program(`agent ${index + 1}`, AGENT, options.agent, args)
    })
    this.access = this.#program('access', AGENT, {}, () => [
      'access',
      RAW,
      `--bind=127.0.0.1:${this.#ports.access}`,
      `--connect.url=http://127.0.0.1:${this.#ports.proxy}`,
    ])
  }

  /** Starts everything, in order. */
  async start(): Promise<this> {
    if (this.#options.link === true) this.#link = makeLink()
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 })
    const service = await this.service.start()
    this.#ports.http = Number(service['http'])
    this.#ports.tcp = Number(service['tcp'])
    if (this.#options.direct === true) return this
    const { listeners } = (await this.server.start()) as {
      listeners: readonly { name: (typeof LISTENERS)[number]; addresses: readonly string[] }[]
    }
    for (const { name, addresses } of listeners) this.#ports[name] = portOf(addresses[0])
    if (this.#options.relay !== undefined) {
      const rate = this.#options.relay === true ? Infinity : this.#options.relay
      this.#relay = new Relay(() => this.#ports.upstream, rate)
      await this.#relay.listen()
    }
    for (const agent of this.agents) await agent.start()
    const ready = (await this.access.start()) as {
      accesses: readonly { addresses: readonly string[] }[]
    }
    this.#ports.access = portOf(ready.accesses[0]?.addresses[0])
    return this
  }

  /** Where the load goes. */
  get targets(): LoadTargets {
    const { http, tcp, proxy, access } = this.#ports
    if (this.#options.direct === true) return { http: { port: http }, tcp: { port: tcp } }
    return { http: { port: proxy, host: `${WEB}.localhost` }, tcp: { port: access } }
  }

  /** URL for agents. */
  get upstreamUrl(): string {
    return `http://127.0.0.1:${this.#ports.upstream}`
  }

  /** The relay of the option of that name. */
  get relay(): Relay {
    if (this.#relay === undefined) throw new Error('this stage has no relay')
    return this.#relay
  }

  get hasLink(): boolean {
    return this.#link !== undefined
  }

  /** The link of the option of that name. */
  get link(): Link {
    if (this.#link === undefined) throw new Error('this stage has no link')
    return this.#link
  }

  get programs(): readonly Program[] {
    if (this.#options.direct === true) return [this.service]
    return [this.service, this.server, ...this.agents, this.access]
  }

  /** A page of the server's admin port. */
  async page<T>(path: string): Promise<T> {
    return await new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#ports.admin, path, agent: false as const }
      get(options, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.once('end', () => resolve(JSON.parse(text) as T)).once('error', reject)
      }).once('error', reject)
    })
  }

  /** What is open and used now. */
  async level(): Promise<StageLevel> {
    const programs = new Map(this.programs.map((program) => [program.name, program.level()]))
    if (this.#options.direct === true) return { programs, open: 0, streams: 0 }
    const sessions = await this.page<readonly Session[]>('/status/upstream/sessions')
    const streams = new Map(sessions.map(({ session, openStreams }) => [session, openStreams]))
    const edge = await this.page<Edge>('/status/edge')
    const own = [...streams.values()].map((count) => Math.max(0, count - CONTROL_STREAMS))
    const open = [...own, edge.connections, edge.inFlight, edge.upgraded]
    return { programs, open: sum(open), streams: sum(own) }
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const program of this.programs.toReversed()) await program.dispose()
    await this.#relay?.close()
    this.#link?.[Symbol.dispose]()
  }

  #program(name: string, file: string, given: Surroundings = {}, args: () => readonly string[]) {
    const { prefix = [], node = [], env } = given
    return new Program(name, () => ({
      line: [
        ...(name.startsWith('agent') ? (this.#link?.prefix ?? []) : []),
        ...prefix,
        NODE,
        ...node,
        file,
        ...args(),
        ...(given.args ?? []),
        '--json',
      ],
      env: { STATE_DIRECTORY: this.#folder, ...env },
    }))
  }

  #bindOf(name: (typeof LISTENERS)[number]): string {
    const host = name === 'upstream' && this.#link !== undefined ? NEAR_ADDRESS : '127.0.0.1'
    return `${host}:${this.#ports[name]}`
  }

  #writeAgentFile(index: number): string {
    const file = join(this.#folder, `agent-${index}.yaml`)
    const host = this.#link === undefined ? '127.0.0.1' : NEAR_ADDRESS
    const url = `http://${host}:${this.#relay?.port ?? this.#ports.upstream}`
    const listeners = [
      { endpoint: WEB, addr: `127.0.0.1:${this.#ports.http}` },
      ...(this.#options.endpoints ?? []).map((endpoint) => ({
        endpoint,
        addr: `127.0.0.1:${this.#ports.http}`,
      })),
      { endpoint: RAW, addr: `127.0.0.1:${this.#ports.tcp}`, protocol: 'tcp' },
    ]
    writeFileSync(file, JSON.stringify({ connect: { url }, listeners })) // JSON is YAML
    return file
  }
}

interface Session {
  readonly session: string
  readonly openStreams: number
}

interface Edge {
  readonly connections: number
  readonly inFlight: number
  readonly upgraded: number
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function portOf(address: string | undefined): number {
  if (address === undefined) throw new Error('the program names no address')
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
