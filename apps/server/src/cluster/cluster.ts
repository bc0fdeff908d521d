// Length: the composition of a node, in one place: its parts are constructed here and joined with those of the server.
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import type { Gate } from '@proj/auth'
import {
  ClusterLinks,
  type Engine,
  type ClusterNode,
  type ClusterRoute,
  type HeldName,
  isClusterError,
  type LinkTls,
  makeLinkCertificate,
  Membership,
  PostgresEngine,
  readLinkCertificate,
} from '@proj/cluster'
import { formatDialAddress, formatListenAddress } from '@proj/config/address'
import {
  type InheritedSocket,
  type InheritedSockets,
  listen,
  type Listeners,
  listenUnix,
} from '@proj/portcheck'
import { EXIT, readCertificates, readPem, UserError } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'
import type { Endpoint, LocalRoute, NameClaims } from '@proj/tunnel/server'

import type { ReservationStore } from '../store/reservation-store.ts'
import { advertisedAddress } from './advertised-address.ts'
import { ClusterPorts, PORTS_TENANT } from './cluster-ports.ts'
import type { ClusterMember, ClusterParts } from './cluster-member.ts'
import type { ClusterSettings } from './cluster-settings.ts'
import type { ClusterView, DatabaseHealth, LinkCounts } from './cluster-view.ts'
import type { NodeIdentity } from './node-identity.ts'
import { quietLogger } from './quiet-logger.ts'
import { Rebalancer, type RebalanceOptions } from './rebalance.ts'

/** What a node is made of. */
export interface ClusterOptions {
  /** Group `cluster` of the settings. */
  readonly settings: ClusterSettings
  /** How agents are spread again. */
  readonly rebalance: RebalanceOptions
  /** Which node this is. */
  readonly identity: NodeIdentity
  /** Version of the program. */
  readonly version: string
  /** Names that are reserved: their owners get them from any other identity. */
  readonly reservations: Pick<ReservationStore, 'find'>
  /** How long agents wait that ask for a name which another identity has, ms. */
  readonly nameRetryAfterMs: number
  /** Listening sockets of another process. Default: none. */
  readonly inherited?: InheritedSockets | undefined
  /** Names of the process that was this node until now: agents get them also while the database is away. */
  readonly heldNames?: readonly HeldName[] | undefined
  /** Told when nodes come and go, and what is wrong with the database. */
  readonly logger: Logger
  /** Where the nodes meet. Default: the database of the settings. */
  readonly engine?: Engine
  /**
   * The nodes are processes of this server: path of the unix socket where the others connect, in a folder that no other
   * user may enter. Default: the cluster port of the settings, with TLS.
   */
  readonly localSocket?: string | undefined
}

/** Where the other nodes connect. */
interface NodePort {
  /** As they reach it. */
  readonly address: string
  /** The TCP port; undefined: it is a unix socket. */
  readonly tcp: Listeners | undefined
  close(): Promise<void>
  destroy(): void
}

/** How long a start waits until the node has joined; it goes on without the database after that, ms. */
const JOIN_WAIT_MS = 5_000

/**
 * How long a process that is replaced waits until the database knows that it has left, ms. It writes nothing from then
 * on, so its successor can join even if the database has not answered.
 */
const HAND_OVER_MS = 1_000

/** How long a start waits for its connections to the other nodes, ms. */
const LINK_WAIT_MS = 3_000

/** Longest wait for a page of another node, ms. */
const ASK_MS = 5_000

/** How often the others learn what this node does, ms. */
const LOAD_MS = 1_000

/** Longest time that streams between nodes may take to finish when a node stops, ms. */
const LINK_CLOSE_MS = 2_000

/** Policy that no visitor passes, in place of one that cannot be read. */
const NO_VISITORS = Object.freeze({ deny: ['0.0.0.0/0', '::/0'] })

/** This server as a node of a cluster. */
export class Cluster implements ClusterMember, AsyncDisposable {
  /** @inheritdoc */
  readonly view: ClusterView
  /** @inheritdoc */
  readonly claims: NameClaims
  /** @inheritdoc */
  readonly portClaims: ClusterPorts
  readonly #options: ClusterOptions
  readonly #membership: Membership
  readonly #port: NodePort
  readonly #tls: LinkTls
  readonly #closing = new AbortController()
  /** Connections from other nodes, since the start. */
  #accepted = 0
  #links: ClusterLinks<Gate> | undefined
  /** When the state of the membership changed last, ms since the epoch. */
  #awaySince = Date.now()
  #rebalancer: Rebalancer | undefined
  #loadTimer: NodeJS.Timeout | undefined

  private constructor(
    options: ClusterOptions,
    membership: Membership,
    port: NodePort,
    tls: LinkTls,
  ) {
    const { reservations, logger } = options
    this.#options = options
    this.#membership = membership
    this.#port = port
    this.#tls = tls
    this.claims = {
      take: async (claim, signal) => {
        const reserved = reservations.find(claim.endpoint)
        const isReserved = reserved?.identity === claim.identity
        return await membership.take({ ...claim, isReserved }, signal)
      },
    }
    this.portClaims = new ClusterPorts(membership, logger, this.#closing.signal)
    this.view = this.#makeView()
  }

  /**
   * Opens the cluster port. The node is not joined before `start`.
   *
   * @throws {PortcheckError} when the port cannot be bound.
   * @throws {UserError} exit code 2 for settings that cannot be used.
   */
  static async open(options: ClusterOptions): Promise<Cluster> {
    const { settings, identity, version, localSocket, nameRetryAfterMs } = options
    const certificate = await certificateOf(settings.tls, identity.id)
    const tls = { certificate, ca: await readCertificates('cluster.tls.ca', settings.tls.ca) }
    let cluster: Cluster | undefined
    const accept = (socket: Socket): void => {
      if (cluster === undefined) socket.destroy()
      else cluster.#accept(socket)
    }
    const port = await (localSocket === undefined
      ? listenForNodes(options, accept)
      : listenLocally(localSocket, accept))
    try {
      const self: ClusterNode = {
        ...identity,
        address: port.address,
        fingerprint: certificate.fingerprint,
        version,
        isLeaving: false,
        load: { sessions: 0, streams: 0 },
      }
      const engine = options.engine ?? engineOf(settings)
      const membership = new Membership(engine, self, {
        leaseMs: settings.leaseMs,
        nameRetryAfterMs,
      })
      membership.inherit(options.heldNames ?? [])
      cluster = new Cluster(options, membership, port, tls)
      return cluster
    } catch (error) {
      port.destroy()
      throw error
    }
  }

  /** @inheritdoc */
  attach(parts: ClusterParts): void {
    const { registry, upstream, publicPorts, gates, windowBudget, readPage, onLongLivedOver } =
      parts
    const { identity, version, rebalance, logger } = this.#options
    const membership = this.#membership
    const { table } = membership
    this.#links = new ClusterLinks<Gate>({
      self: { ...identity, version },
      tls: this.#tls,
      isLocal: this.#isLocal,
      table,
      registry,
      readVisitorRules: gates.read,
      closedRules: gates.read(NO_VISITORS, 'tcp'),
      windowBudget,
      readPage: async (path) => {
        const { status = 200, type, body = '' } = await readPage(path)
        return { status, type, body }
      },
      onLongLivedOver,
      logger: this.#nodeLogger,
    })
    registry.on('route', (endpoint, route) => this.#announce(endpoint, route))
    membership.on('lost', (endpoint, { identity: holder }) => {
      if (endpoint.tenant === PORTS_TENANT) return
      const { tenant, name } = endpoint
      logger.warn({ tenant, endpoint: name, holder }, 'name lost to an agent on another node')
      upstream.loseName(endpoint)
    })
    this.portClaims.follow(publicPorts)
    this.#logChanges()
    const sessions = (): number => upstream.sessions.size
    this.#loadTimer = setInterval(() => {
      membership.update({ load: { sessions: sessions(), streams: openStreams(upstream.sessions) } })
    }, LOAD_MS)
    this.#loadTimer.unref() // it does not keep the process alive
    this.#rebalancer = new Rebalancer(rebalance, {
      sessions,
      others: () =>
        [...table.nodes()]
          .filter(({ id, isLeaving }) => !isLeaving && this.view.isConnected(id))
          .map(({ load }) => load.sessions),
      move: (count) => {
        const moved = upstream.moveSome(count, { signal: this.#closing.signal })
        if (moved > 0) logger.info({ agents: moved }, 'agents asked to move to other nodes')
        return moved
      },
    })
  }

  /**
   * Joins the cluster, and goes on without it while the database is away.
   *
   * @throws {UserError} exit code 2 when this program cannot use the database at all.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { logger } = this.#options
    const waited = AbortSignal.any([signal, AbortSignal.timeout(JOIN_WAIT_MS)])
    try {
      await this.#membership.start(waited)
    } catch (error) {
      if (isClusterError(error)) throw explained(error)
      if (signal.aborted || !waited.aborted) throw error
      logger.warn(
        { hint: 'see cluster.database_url' },
        'the database does not answer: this node serves the agents that it gets, and knows no other node',
      )
    }
    await this.#links?.ready(AbortSignal.any([signal, AbortSignal.timeout(LINK_WAIT_MS)]))
  }

  /** What the cluster port is bound to. */
  get bound(): Listeners['bound'] {
    return this.#port.tcp?.bound ?? []
  }

  /** Names of this node, for a process that takes over. */
  get heldNames(): readonly HeldName[] {
    return this.#membership.held()
  }

  /** Listening sockets, for a process that takes over. */
  descriptors(): InheritedSocket[] {
    return this.#port.tcp?.descriptors('cluster') ?? []
  }

  /** Tells the others to send nothing new here while they have a choice. */
  leave(): void {
    this.#membership.update({ isLeaving: true })
  }

  /**
   * Leaves for another process that is this node from now on and has the cluster port. Streams from other nodes to
   * the agents of this process finish.
   *
   * @returns when the other process can join: this one writes nothing to the database any more.
   */
  async handOver(): Promise<void> {
    void this.#port.close().catch(() => {})
    const over = new AbortController()
    const late = delay(HAND_OVER_MS, undefined, { signal: over.signal }).catch(() => {})
    await Promise.race([this.#membership.close(), late])
    over.abort()
  }

  /** Leaves the cluster. Never rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#loadTimer)
    this.#rebalancer?.[Symbol.dispose]()
    await this.#membership.close()
    await this.#links?.close(AbortSignal.timeout(LINK_CLOSE_MS))
    this.#port.destroy()
  }

  #accept(socket: Socket): void {
    this.#accepted += 1
    if (this.#links === undefined) socket.destroy()
    else if (this.#isLocal) this.#links.acceptLocal(socket)
    else this.#links.accept(socket)
  }

  get #isLocal(): boolean {
    return this.#options.localSocket !== undefined
  }

  #announce(endpoint: Endpoint, route: LocalRoute | undefined): void {
    const { logger } = this.#options
    try {
      this.#membership.announce(endpoint, route)
    } catch (error) {
      // The endpoint is served here all the same, to the visitors of this node.
      const { tenant, name } = endpoint
      logger.error(
        { err: error, tenant, endpoint: name },
        'the other nodes cannot be told of an endpoint',
      )
    }
  }

  /** Where it is said that nodes come and go. */
  get #nodeLogger(): Logger {
    const { logger } = this.#options
    return this.#isLocal ? quietLogger(logger) : logger
  }

  #logChanges(): void {
    const logger = this.#nodeLogger
    const membership = this.#membership
    const known = new Set<string>()
    membership.table.on('node', ({ id, boot, address, version, isLeaving }, isPresent) => {
      const key = `${id} ${boot}`
      const fields = { node: id, nodeBoot: boot, address, version }
      if (!isPresent) {
        known.delete(key)
        logger[isLeaving || this.#isLocal ? 'info' : 'warn'](fields, 'node left')
      } else if (!known.has(key)) {
        known.add(key)
        logger.info(fields, 'node joined')
      }
    })
    membership.on('problem', (error) => {
      logger.warn({ err: error }, 'the database of the cluster cannot be used')
    })
    membership.on('state', (state) => {
      this.#awaySince = Date.now()
      if (state === 'joined') logger.info({}, 'node joined the cluster')
      else if (state === 'away') {
        logger.warn(
          {},
          'the database is away: this node serves what it has, and grants no new names',
        )
      } else if (state === 'replaced' && !membership.self.isLeaving) {
        logger.error(
          {
            hint: 'give each node its own cluster.node_id and data_dir, then start this one again',
          },
          'another process has joined as this node: the others do not see this one any more',
        )
      }
    })
  }

  #makeView(): ClusterView {
    const { identity, version } = this.#options
    const membership = this.#membership
    const { table } = membership
    const { portClaims } = this
    const links = (): ClusterLinks<Gate> | undefined => this.#links
    return {
      get local() {
        const { address, isLeaving } = membership.self
        return { ...identity, version, address, isLeaving }
      },
      nodes: () => table.nodes(),
      isConnected: (nodeId) => links()?.state(nodeId) === 'up',
      entries: () => withoutPorts(table.entries()),
      get size() {
        return table.size - portClaims.countElsewhere
      },
      health: (): DatabaseHealth | undefined =>
        this.#isLocal // there is no database
          ? undefined
          : {
              isReachable: membership.state === 'joined',
              awaySince: membership.state === 'away' ? this.#awaySince : undefined,
              lagMs: membership.readAgeMs,
              leaseAgeMs: membership.leaseAgeMs,
            },
      links: () => countLinks(links(), this.#accepted),
      ask: async (nodeId, path) => {
        const asked = links()
        if (asked === undefined) throw new Error('this node is starting')
        const { type, ...page } = await asked.ask(nodeId, path, AbortSignal.timeout(ASK_MS))
        return { ...page, ...(type !== undefined && { type }) }
      },
    }
  }
}

function openStreams(sessions: Iterable<{ readonly openStreams: number }>): number {
  let sum = 0
  for (const { openStreams: open } of sessions) sum += open
  return sum
}

function* withoutPorts(
  entries: Iterable<readonly [Endpoint, readonly ClusterRoute[]]>,
): Generator<readonly [Endpoint, readonly ClusterRoute[]]> {
  for (const entry of entries) if (entry[0].tenant !== PORTS_TENANT) yield entry
}

function countLinks(links: ClusterLinks<Gate> | undefined, connectionsIn: number): LinkCounts {
  const hopsOut = new Map<string, number>()
  for (const { node, hops } of links?.links() ?? []) hopsOut.set(node.id, hops)
  const { accepted, opened } = links ?? {}
  return {
    hopsOut,
    hopsIn: accepted?.hops ?? 0,
    hopsRefused: accepted?.refusedHops ?? 0,
    connectionsIn,
    connectionsOut: opened?.connections ?? 0,
    bytesIn: (accepted?.bytesReceived ?? 0) + (opened?.bytesReceived ?? 0),
    bytesOut: (accepted?.bytesSent ?? 0) + (opened?.bytesSent ?? 0),
  }
}

function engineOf({ databaseUrl }: ClusterSettings): Engine {
  try {
    return new PostgresEngine({ url: databaseUrl?.reveal() ?? '' })
  } catch (error) {
    throw isClusterError(error) ? explained(error) : error
  }
}

function explained(error: Error & { readonly code: string }): UserError {
  return new UserError(`${error.message} (${error.code})`, {
    exitCode: EXIT.usage,
    hint: 'see cluster.database_url',
    cause: error,
  })
}

async function certificateOf(
  { cert, key }: ClusterSettings['tls'],
  nodeId: string,
): Promise<LinkTls['certificate']> {
  if (cert === undefined || key === undefined) return makeLinkCertificate(nodeId)
  const [certPem = '', keyPem = ''] = await Promise.all([
    readPem('cluster.tls.cert', cert),
    readPem('cluster.tls.key', key),
  ])
  try {
    return readLinkCertificate(certPem, keyPem)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(`cluster.tls.cert: ${why}`, { exitCode: EXIT.usage, cause: error })
  }
}

async function listenForNodes(
  { settings, inherited }: ClusterOptions,
  onConnection: (socket: Socket) => void,
): Promise<NodePort> {
  const wants = settings.bindAddr.map(formatListenAddress)
  const tcp = await listen(wants, { name: 'cluster', inherited, onConnection })
  return {
    address: addressOf(settings, tcp),
    tcp,
    close: async () => await tcp.close(),
    destroy: () => tcp.destroy(),
  }
}

async function listenLocally(
  path: string,
  onConnection: (socket: Socket) => void,
): Promise<NodePort> {
  const listener = await listenUnix(path, { onConnection })
  return {
    address: `unix:${path}`,
    tcp: undefined,
    close: async () => await listener.close(),
    destroy: () => listener.destroy(),
  }
}

function addressOf({ advertiseAddr }: ClusterSettings, { bound }: Listeners): string {
  if (advertiseAddr !== undefined) return formatDialAddress(advertiseAddr)
  const hosts = bound.flatMap(({ endpoints, port }) =>
    endpoints.map(({ host }) => ({ host, port })),
  )
  return advertisedAddress(hosts[0] ?? { host: '127.0.0.1', port: 0 })
}
