// Length: what a stage has is started, reached and ended in one place.
// What restarts are measured on: servers with addresses of their own and the ports of the documents, agents that
// are connected with all of them, and, where a scenario wants it, a load balancer, sockets of a service manager,
// or an office with printers and a desk.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { get } from 'node:http'
import { createServer, type AddressInfo, type Server as NetServer } from 'node:net'
import { join } from 'node:path'

import { cleanEnvironment } from '@proj/testkit/clean-environment'
import { type HeldSocket, heldSocket } from '@proj/testkit/held-socket'
import {
  type Balancer,
  type BalancerName,
  ownNetwork,
  SERVER_PORTS,
  startBalancer,
} from '@proj/testkit/load-balancers'
import { PostgresServer } from '@proj/testkit/postgres-server'
import { spawned } from '@proj/testkit/spawned'
import { CountingService } from '@proj/testkit/steady-load'
import { until } from '@proj/testkit/until'

import { NODE, Program } from './program.ts'
import { Relay } from './relay.ts'
import { AGENT, SERVER } from './stage.ts'

/** What a scenario of restarts needs. */
export interface RestartStageOptions {
  /** Servers. Default 1. */
  readonly servers?: number
  /** The servers are nodes of a cluster, on a real PostgreSQL. */
  readonly isCluster?: boolean
  /** Agents, each of them connected with all servers; in a cluster with the last two. Default 1. */
  readonly agents?: number
  /** What stands in front of the servers. Default: nothing. */
  readonly balancer?: BalancerName
  /** The first server gets its sockets, as from systemd. */
  readonly hasHeldSockets?: boolean
  /** Printers behind an office, and the desk that has them. Default 0. */
  readonly printers?: number
  /** More arguments of each server. */
  readonly serverArgs?: readonly string[]
  /** The database has a standby, and the nodes reach it at an address that can go to that. */
  readonly hasStandby?: boolean
  /** The nodes of a cluster have tokens, so that agents and readers of pages need one. */
  readonly hasTokens?: boolean
}

/** Name of the endpoint. */
const ENDPOINT = 'web'
/** Port of a node for the other nodes. */
const CLUSTER_PORT = 8003
/** Nodes of a cluster that have agents; visitors of the others cross a link. */
const NODES_WITH_AGENTS = 2
const LISTENERS = ['proxy', 'upstream', 'admin'] as const

/** Longest wait for something that a busy machine delays. */
const PATIENCE_MS = 120_000

/** A running stage. */
export class RestartStage implements AsyncDisposable {
  readonly service = new CountingService()
  readonly servers: readonly Program[]
  readonly agents: readonly Program[]
  /** Serves the printers. */
  readonly office: Program
  /** Has a local address for each printer. */
  readonly desk: Program
  readonly #options: RestartStageOptions
  readonly #folder: string
  readonly #network = ownNetwork()
  readonly #printers: NetServer[] = []
  #held: Readonly<Record<(typeof LISTENERS)[number], HeldSocket>> | undefined
  #servicePort = 0
  #database: PostgresServer | undefined
  #standby: PostgresServer | undefined
  /** In front of a database that has a standby. */
  readonly #databaseAddress = new Relay(() => this.database.port)
  #databaseUrl = ''
  /** Of the agents and of the reader of pages; empty: the servers have none. */
  #token = ''
  #balancer: Balancer | undefined
  /** Ports of the local addresses of the desk. */
  deskPorts: readonly number[] = []

  /** `folder` is empty and exists. */
  constructor(folder: string, options: RestartStageOptions) {
    this.#folder = folder
    this.#options = options
    const { servers = 1, agents = 1 } = options
    this.servers = Array.from(
      { length: servers },
      (_, at) => new Program(`server ${at + 1}`, () => this.#serverLine(at)),
    )
    this.agents = Array.from(
      { length: agents },
      (_, at) =>
        new Program(`agent ${at + 1}`, () => ({
          line: [NODE, AGENT, 'http', ENDPOINT, String(this.#servicePort), ...this.#connectArgs()],
          env: {
            XDG_RUNTIME_DIR: this.#own(`agent-${at}`),
            ...(this.#token !== '' && { ADIT_CONNECT_TOKEN: this.#token }),
          },
        })),
    )
    this.office = new Program('office', () => ({
      line: [NODE, AGENT, 'start', `--config=${this.#officeFile()}`, ...this.#connectArgs()],
      env: { XDG_RUNTIME_DIR: this.#own('office') },
    }))
    this.desk = new Program('desk', () => ({
      line: [NODE, AGENT, 'access', ...this.#deskBinds(), ...this.#connectArgs('proxy')],
      env: { XDG_RUNTIME_DIR: this.#own('desk') },
    }))
  }

  /** Everything that was or will be started. */
  get programs(): readonly Program[] {
    return [...this.servers, ...this.agents, ...(this.#hasPrinters ? [this.office, this.desk] : [])]
  }

  /** The database of the cluster. */
  get database(): PostgresServer {
    if (this.#database === undefined) throw new Error('the scenario is not one of a cluster')
    return this.#database
  }

  /** What the load balancer has written. */
  get balancerLog(): string {
    return this.#balancer?.process.stderr ?? ''
  }

  /** Where visitors connect, and their Host. */
  get target(): { readonly address: string; readonly port: number; readonly host: string } {
    const address = this.#balancer?.address ?? (this.#held ? '127.0.0.1' : this.#addressOf(0))
    const port = this.#balancer?.port ?? this.#held?.proxy.port ?? SERVER_PORTS.proxy
    return { address, port, host: `${ENDPOINT}.localhost` }
  }

  /** Starts everything and waits until each server has an agent. */
  async start(): Promise<this> {
    const { balancer, hasHeldSockets = false } = this.#options
    this.#servicePort = await this.service.listen()
    if (hasHeldSockets) {
      this.#held = { proxy: heldSocket(), upstream: heldSocket(), admin: heldSocket() }
    }
    if (this.#options.isCluster === true) {
      this.#database = await PostgresServer.start()
      this.#databaseUrl = await this.#database.createDatabase()
      if (this.#options.hasStandby === true) await this.#startStandby()
    }
    if (this.#options.hasTokens === true) {
      const rights = ['--endpoints', '*', '--may', 'listen,connect,admin']
      this.#token = (await this.storeCommand(['token', 'create', ...rights]))['token'] as string
    }
    for (const server of this.servers) await server.start()
    for (const agent of this.agents) await agent.start()
    for (let at = 0; at < this.servers.length && this.agents.length > 0; at += 1) {
      await this.served(at)
    }
    if (this.#hasPrinters) await this.#startPrinters()
    if (balancer !== undefined) this.#balancer = await startBalancer(balancer, this.#network)
    return this
  }

  /** URL of a server for agents. */
  upstreamUrl(at: number): string {
    return `http://${this.#addressOf(at)}:${SERVER_PORTS.upstream}`
  }

  /** URL of the database of the cluster. */
  get databaseUrl(): string {
    return this.#databaseUrl
  }

  /** Runs a command on the store of the cluster. @returns what it writes. @throws {Error} when it fails. */
  async storeCommand(args: readonly string[]): Promise<Record<string, unknown>> {
    const env = { ADIT_CLUSTER_DATABASE_URL: this.#databaseUrl }
    const command = spawned(NODE, [SERVER, ...args, '--json'], {
      env: { ...cleanEnvironment(), ...env },
    })
    const { code } = await command.exited
    if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${command.stderr}`)
    return JSON.parse(command.stdout) as Record<string, unknown>
  }

  /** Kills the database and makes its standby the database. */
  async failOver(): Promise<void> {
    const [before, after] = [this.database, this.#standby]
    if (after === undefined) throw new Error('the scenario has no standby')
    await before.kill()
    await after.promote()
    this.#database = after
    this.#standby = before
  }

  async #startStandby(): Promise<void> {
    this.#standby = await this.database.standby()
    await this.#databaseAddress.listen()
    const url = new URL(this.#databaseUrl)
    url.port = String(this.#databaseAddress.port)
    this.#databaseUrl = url.href
  }

  /** Waits until a server has an agent; in a cluster, until the server is a node that others see. */
  async served(at: number): Promise<void> {
    if (this.#options.isCluster === true) {
      await this.#seen(at)
      return
    }
    await until(
      async () => {
        const { [ENDPOINT]: sessions = 0 } = await this.#page<Record<string, number>>(at)
        return sessions > 0
      },
      { timeoutMs: PATIENCE_MS, pollMs: 50, what: `an agent of server ${at + 1}` },
    )
  }

  /** Waits until each node that runs sees a node, and routes of agents. */
  async #seen(at: number): Promise<void> {
    for (const [other, { isRunning }] of this.servers.entries()) {
      if (!isRunning) continue
      await until(
        async () => {
          const nodes = await this.#page<readonly NodeLine[]>(other, '/status/cluster/nodes')
          const active = nodes.filter(({ status }) => status === 'active')
          const isThere = active.some(({ id }) => id === nodeId(at))
          return isThere && active.some(({ endpoints }) => endpoints > 0)
        },
        { timeoutMs: PATIENCE_MS, pollMs: 50, what: `node ${at + 1} and an agent` },
      )
    }
  }

  /** Upgrades a server in place. @returns the process before. */
  async upgradeServer(at: number): Promise<number> {
    const args = ['upgrade', `--data-dir=${this.#dataDir(at)}`]
    return await this.#upgrade(this.servers[at], [SERVER, ...args], {})
  }

  /** Upgrades an agent, the office or the desk in place. @returns the process before. */
  async upgradeAgent(program: Program | undefined): Promise<number> {
    const folder = program?.name.replace(/agent (\d+)/, (_, at) => `agent-${Number(at) - 1}`)
    const env = { XDG_RUNTIME_DIR: this.#own(folder ?? '') }
    return await this.#upgrade(program, [AGENT, 'upgrade'], env)
  }

  /** SIGTERM, the end by itself, and a new start. */
  async restart(program: Program | undefined): Promise<void> {
    await program?.stop(PATIENCE_MS)
    await program?.start()
  }

  /** Waits until a process has ended. */
  async gone(pid: number): Promise<void> {
    await until(() => !isAlive(pid), {
      timeoutMs: PATIENCE_MS,
      pollMs: 50,
      what: `process ${pid} ends`,
    })
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#balancer?.stop()
    for (const program of this.programs.toReversed()) await program.dispose()
    for (const printer of this.#printers) printer.close()
    this.service.close()
    if (this.#standby !== undefined) await this.#databaseAddress.close()
    await this.#standby?.[Symbol.asyncDispose]()
    await this.#database?.[Symbol.asyncDispose]()
  }

  get #hasPrinters(): boolean {
    return (this.#options.printers ?? 0) > 0
  }

  async #upgrade(
    program: Program | undefined,
    args: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<number> {
    if (program === undefined) throw new Error('there is no such program')
    const before = program.pid
    const command = spawned(NODE, [...args, '--json'], { env })
    const { code } = await command.exited
    if (code !== 0) {
      throw new Error(`upgrade of ${program.name} ended with ${code}: ${command.stderr}`)
    }
    program.replaced((JSON.parse(command.stdout) as { readonly successor: number }).successor)
    return before
  }

  #serverLine(at: number) {
    const held = this.#held
    const binds = LISTENERS.map(
      (name) => `--${name}.bind-addr=${this.#addressOf(at)}:${SERVER_PORTS[name]}`,
    )
    const line = [
      ...(held === undefined ? [] : ['sh', '-c', 'LISTEN_PID=$$ exec "$@"', 'sh']),
      NODE,
      SERVER,
      `--data-dir=${this.#dataDir(at)}`,
      ...(held === undefined ? binds : []),
      ...(this.#options.serverArgs ?? []),
      '--json',
    ]
    if (this.#databaseUrl !== '') {
      line.push(`--cluster.node-id=${nodeId(at)}`)
      line.push(`--cluster.bind-addr=${this.#addressOf(at)}:${CLUSTER_PORT}`)
      return { line, env: { ADIT_CLUSTER_DATABASE_URL: this.#databaseUrl } }
    }
    if (held === undefined) return { line }
    const env = { LISTEN_FDS: String(LISTENERS.length), LISTEN_FDNAMES: LISTENERS.join(':') }
    return { line, env, descriptors: LISTENERS.map((name) => held[name].fd) }
  }

  #connectArgs(port: 'upstream' | 'proxy' = 'upstream'): string[] {
    const first = this.#options.isCluster === true ? this.servers.length - NODES_WITH_AGENTS : 0
    const urls = this.servers.slice(first).map((_, index) => {
      const at = first + index
      const held = this.#held?.[port]
      return held === undefined
        ? `--connect.url=http://${this.#addressOf(at)}:${SERVER_PORTS[port]}`
        : `--connect.url=http://127.0.0.1:${held.port}`
    })
    const connections = Math.max(2, urls.length)
    return [...urls, `--connect.connections=${connections}`, '--json']
  }

  async #startPrinters(): Promise<void> {
    for (let count = this.#options.printers ?? 0; count > 0; count -= 1) {
      this.#printers.push(await startPrinter())
    }
    await this.office.start()
    const { accesses } = (await this.desk.start()) as {
      readonly accesses: readonly { readonly addresses: readonly string[] }[]
    }
    this.deskPorts = accesses.map(({ addresses }) => Number(addresses[0]?.split(':').at(-1)))
  }

  #officeFile(): string {
    const file = join(this.#folder, 'office.yaml')
    const listeners = this.#printers.map((printer, at) => ({
      endpoint: `printer-${at}`,
      addr: `127.0.0.1:${(printer.address() as AddressInfo).port}`,
      protocol: 'tcp',
    }))
    writeFileSync(file, JSON.stringify({ listeners })) // JSON is YAML
    return file
  }

  #deskBinds(): string[] {
    return this.#printers.map((_, at) => `printer-${at}=127.0.0.1:${this.deskPorts[at] ?? 0}`)
  }

  #own(name: string): string {
    const folder = join(this.#folder, `run-${name}`)
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o700)
    return folder
  }

  #dataDir(at: number): string {
    return join(this.#folder, `data-${at}`)
  }

  #addressOf(at: number): string {
    return `${this.#network}.${at + 1}`
  }

  async #page<T>(at: number, path = '/status/upstream/endpoints'): Promise<T> {
    const host = this.#held === undefined ? this.#addressOf(at) : '127.0.0.1'
    const port = this.#held?.admin.port ?? SERVER_PORTS.admin
    return await new Promise((resolve, reject) => {
      const headers = this.#token === '' ? {} : { authorization: `Bearer ${this.#token}` }
      get({ host, port, path, agent: false, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.once('end', () => {
          try {
            resolve(JSON.parse(text) as T)
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)))
          }
        })
        response.once('error', reject)
      }).once('error', reject)
    })
  }
}

/** A printer: it says that it is ready, reads to the end, then tells how many bytes it has printed. */
async function startPrinter(): Promise<NetServer> {
  const printer = createServer({ allowHalfOpen: true }, (socket) => {
    let printed = 0
    socket.on('error', () => socket.destroy())
    socket.write('ready\n')
    socket.on('data', (chunk) => (printed += chunk.length))
    socket.on('end', () => socket.end(String(printed)))
  })
  printer.listen(0, '127.0.0.1')
  await once(printer, 'listening')
  return printer
}

interface NodeLine {
  readonly id: string
  readonly status: string
  readonly endpoints: number
}

function nodeId(at: number): string {
  return `node-${at + 1}`
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
