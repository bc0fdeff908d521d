// Length: the composition of the server, in one place: every part is constructed here and joined with the others.
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

import { type Gate, matchesPattern, sourceOf } from '@proj/auth'
import type { ResolvedValue } from '@proj/config'
import { WindowBudget } from '@proj/mux'
import {
  type InheritedSocket,
  type InheritedSockets,
  type ListenRequest,
  Listeners,
  listenTogether,
  peerOf,
} from '@proj/portcheck'
import type { ReadyStatus } from '@proj/program-kit'
import { type Logger, TUNNEL_LIMITS } from '@proj/tunnel'
import { runAfter } from '@proj/tunnel/io'
import {
  allowAll,
  type Authorize,
  type Balance,
  type ClientCertificate,
  ConsumerAcceptor,
  type Endpoint,
  endpointKey,
  UpstreamAcceptor,
  UpstreamRegistry,
  StreamQuota,
  type StreamQuotaOptions,
  type VisitorWaitLimits,
  VisitorWaits,
} from '@proj/tunnel/server'

import type { AccessLog } from './access-log/access-log.ts'
import type { Tracer } from './tracing/tracer.ts'
import { createServerAdmin } from './admin/admin.ts'
import type { OidcSignIn } from './admin/oidc/oidc-sign-in.ts'
import type { WorkerPages } from './admin/worker-pages.ts'
import { createAdminApi } from './admin/api/admin-api.ts'
import { ChangeFeed } from './admin/api/change-feed.ts'
import type { Authenticator, PortName } from './auth/authenticator.ts'
import { refusePages } from './auth/refuse-pages.ts'
import { type StandingPolicy, VisitorGates } from './auth/visitor-gates.ts'
import { aloneMember, type ClusterMember } from './cluster/cluster-member.ts'
import type { NodeIdentity } from './cluster/node-identity.ts'
import { ConnectionBudget, type ConnectionShares, PortConnections } from './connection-budget.ts'
import { DescriptorWatch } from './descriptor-watch.ts'
import { type DomainProofOptions, ownDomainsOf, ProvedDomains } from './domains/proved-domains.ts'
import type { DomainRule } from './proxy/domains.ts'
import { ErrorPages } from './proxy/error-pages.ts'
import { OfflinePages } from './proxy/offline-pages.ts'
import { type EndpointLimitRule, LimitLease } from './endpoint-limits/endpoint-limiter.ts'
import { endpointUrls } from './proxy/endpoint-urls.ts'
import { HttpProxy } from './proxy/http-proxy.ts'
import type { ProxyOptions } from './proxy/proxy-options.ts'
import type { PortOwner } from './public-ports/port-claims.ts'
import type { PublicPortOptions } from './public-ports/public-port-options.ts'
import { PublicPorts } from './public-ports/public-ports.ts'
import { StoredPorts } from './public-ports/port-reservations.ts'
import { listenRequest, type ServerListener } from './server-listener.ts'
import { ServerState } from './server-state.ts'
import { memoryStore, type Store } from './store/store.ts'
import { clientCertificateOf } from './tls/certificates.ts'
import type { TlsPortStatus } from './tls/tls-status.ts'
import { auditNames } from './upstream/audit-names.ts'
import { createDomainsApi } from './upstream/domains-api.ts'
import { createOfflinePagesApi } from './upstream/offline-pages-api.ts'
import { createReservationsApi } from './upstream/reservations-api.ts'
import { type ReadyOptions, ReturningEndpoints } from './upstream/returning-endpoints.ts'
import {
  TOO_MANY_CONNECTIONS,
  UpstreamConnections,
  type UpstreamPortOptions,
} from './upstream/upstream-connections.ts'
import { createUpstreamPort } from './upstream/upstream-port.ts'

/** What a process that takes over knows of the endpoints of the one before. */
export interface ExpectedEndpoints {
  /** Endpoints that were served or expected back: visitors wait for them. */
  readonly endpoints: readonly Endpoint[]
  /** For how long visitors of any endpoint wait, because the process before had started itself, ms. */
  readonly startLeftMs: number
}

/** How one of several agents is chosen. */
export interface BalanceRule {
  /** `web` or `pc*`, of every tenant. */
  readonly name: string
  /** Undefined: another rule may say. */
  readonly balance: Balance | undefined
}

/** What a server is made of. */
export interface ServerOptions {
  /** Where visitors and consumers connect. Default `*:8000`. */
  readonly proxy?: ServerListener
  /** Where agents connect. Default `*:8001`. */
  readonly upstream?: ServerListener
  /** Where operators connect; `elsewhere`: to another process. Default `localhost:8002`: both loopback addresses. */
  readonly admin?: ServerListener | 'elsewhere'
  /** How many processes are this server; each has its share of what is bounded for all. Default: 1. */
  readonly processes?: number
  /** The other processes of this server, for its pages. Default: there are none. */
  readonly workers?: WorkerPages
  /** Host names of the ports besides `localhost`, for requests without credentials. Default: none. */
  readonly hosts?: Readonly<Partial<Record<PortName, readonly string[]>>>
  /** Limits of the upstream port. */
  readonly upstreamPort?: UpstreamPortOptions
  /** Times and limits of the HTTP edge. */
  readonly edge?: ProxyOptions
  /** How long and how many visitors wait for an agent. */
  readonly waits?: VisitorWaitLimits
  /** How many streams of an agent one source and one endpoint may have. */
  readonly quota?: StreamQuotaOptions
  /** How many connections the descriptors of this process are enough for. Default: no limit. */
  readonly connections?: ConnectionShares
  /** The limit of open files of this process, for the log. Default: unknown. */
  readonly descriptors?: number
  /** Public TCP ports for endpoints. Default: none. */
  readonly publicPorts?: PublicPortOptions
  /** Listening sockets of another process, for the ports and for public ports. Default: none. */
  readonly inherited?: InheritedSockets | undefined
  /** What the process before this one knows of endpoints. Default: there was none. */
  readonly expected?: ExpectedEndpoints | undefined
  /** How many of the endpoints that were there before are to be back before it is ready. */
  readonly ready?: ReadyOptions
  /** The operator's rules for visitors. Default: none. */
  readonly visitors?: readonly StandingPolicy[]
  /** The nodes of a cluster. Default: this server is alone. */
  readonly cluster?: ClusterMember
  /** How one of several agents is chosen, for endpoints that a pattern names. Default: in turn. */
  readonly balances?: readonly BalanceRule[]
  /** The operator's limits for visitors of endpoints. Default: none. */
  readonly limits?: readonly EndpointLimitRule[]
  /** How owners prove their domains. */
  readonly domainProof?: DomainProofOptions
  /** Judges handshakes. Default: the authenticator. */
  readonly authorize?: Authorize
  /** What the server remembers. Default: a store in memory. The server does not close it. */
  readonly store?: Store
  /** How long a silent agent may keep a name that another one asks for; see `UpstreamAcceptor`. */
  readonly probeTimeoutMs?: number
  /** Gets a line for each request and connection of visitors. Default: there is none. The server does not close it. */
  readonly accessLog?: AccessLog | undefined
  /** Makes a span of each request. Default: there are none. The server does not close it. */
  readonly tracer?: Tracer | undefined
  /** Pages that browsers get for errors. Default: ours. */
  readonly errorPages?: ErrorPages | undefined
  /** Identifies peers on every port. Default: no credentials are needed. */
  readonly authenticator?: Authenticator
  /** Signs people in to the console. Default: nothing does. */
  readonly oidc?: OidcSignIn | undefined
  /** Program and version, told to peers of ours. */
  readonly software: string
  /** Receives what the server does. */
  readonly logger: Logger
  /** Settings in force, secrets masked, for operators. Default: none. */
  readonly configuration?: () => readonly ResolvedValue[]
  /** Log lines that were left out since the start, for metrics. Default: none. */
  readonly leftOutLines?: () => number
}

/** Memory that the windows of all sessions of this server may grow by together. */
const WINDOW_BUDGET_BYTES = 256 * 1024 * 1024

/** Longest wait for the requests of visitors that have connected, after the ports are closed, ms. */
const REQUEST_MS = 2_000

/**
 * How long before its ports close a stopping server asks its agents to move, ms: other servers have them before
 * the visitors come. Agents wait 5 s to be let go, which is for this and for the last requests.
 */
const MOVE_MS = 2_000

/** How long streams of an agent of Piko may go on when an operator drains it, ms. */
const DRAIN_MS = 60_000

/** How often a stopping server looks whether an agent is left, ms. */
const LOOK_MS = 100

/** Agents that move in one second when the server stops. */
const MOVES_PER_SECOND = 500

/** How a server ends its connections when it stops. */
export interface DrainTimes {
  /**
   * How long it accepts visitors after it has said that it is not ready, ms. While there are long-lived
   * connections it goes on accepting until they end, for this process does not end before, and no other one
   * could have its ports. Default: the ports are closed at once.
   */
  readonly delayMs?: number
  /** How long kept-alive connections may be idle after that, ms. Default 0. */
  readonly idleMs?: number
  /** How long connections without an end of their own go on after the begin, ms. Default: until the signal. */
  readonly longLivedMs?: number
}

/** The three ports by name. */
export interface ServerListeners {
  /** Where visitors and consumers connect. */
  readonly proxy: Listeners
  /** Accepts agents. */
  readonly upstream: Listeners
  /** Serves health checks, metrics and status pages. */
  readonly admin: Listeners
}

/** What is constructed before anything listens. */
interface ServerParts {
  readonly state: ServerState
  readonly returning: ReturningEndpoints
  readonly expected: readonly Endpoint[]
  readonly registry: UpstreamRegistry<Gate>
  readonly gates: VisitorGates
  readonly edge: HttpProxy
  readonly domains: ProvedDomains
  readonly publicPorts: PublicPorts
  readonly inherited: InheritedSockets | undefined
  readonly upstream: UpstreamAcceptor
  readonly connect: ConsumerAcceptor
  readonly upstreamConnections: UpstreamConnections
  readonly adminConnections: PortConnections
  readonly descriptorWatch: DescriptorWatch
  /** The HTTP servers of the two ports that are not the edge's. */
  readonly http: { readonly upstream: HttpServer; readonly admin: HttpServer }
}

/** A running server: the edge, the acceptors and the admin pages on their ports. */
export class Server {
  /** Which agents serve which endpoints. */
  readonly registry: UpstreamRegistry<Gate>
  /** Proxies HTTP requests of visitors to agents. */
  readonly edge: HttpProxy
  /** TCP ports that agents have claimed for their endpoints. */
  readonly publicPorts: PublicPorts
  /** Connections of the upstream port. */
  readonly upstreamConnections: PortConnections
  /** The bound ports. */
  readonly listeners: ServerListeners
  readonly #parts: ServerParts
  #ending: Promise<void> | undefined

  private constructor(parts: ServerParts, listeners: ServerListeners) {
    this.registry = parts.registry
    this.edge = parts.edge
    this.publicPorts = parts.publicPorts
    this.upstreamConnections = parts.upstreamConnections.sockets
    this.listeners = listeners
    this.#parts = parts
  }

  /**
   * Constructs the server, opens every port or none, and then publishes the ports.
   *
   * @throws {PortcheckError} when a port cannot be bound, with its holder.
   */
  static async start(options: ServerOptions): Promise<Server> {
    const parts = construct(options)
    try {
      const listeners = await listenOn(options, parts)
      parts.state.publish(listeners)
      // One of several processes looks for proofs; the others learn what it finds.
      if (options.admin !== 'elsewhere') parts.domains.start()
      return new Server(parts, listeners)
    } catch (error) {
      parts.edge.destroy()
      parts.domains[Symbol.dispose]()
      parts.returning[Symbol.dispose]()
      parts.descriptorWatch[Symbol.dispose]()
      throw error
    }
  }

  /** Endpoints for a process that takes over: those that are served, and those that are expected back. */
  get expected(): ExpectedEndpoints {
    const { waits } = this.registry
    // After a short time some agents have not come from the process before this one yet.
    const awaited = this.#parts.expected.filter((endpoint) => waits.expects(endpoint))
    const endpoints = [...this.registry.snapshot().keys(), ...waits.absent, ...awaited]
    return { endpoints, startLeftMs: waits.startLeftMs }
  }

  /** Every listening socket, for a process that takes over. */
  descriptors(): InheritedSocket[] {
    const { inherited } = this.#parts
    return [
      ...Object.entries<Listeners>({ ...this.listeners }).flatMap(([name, listeners]) =>
        listeners.descriptors(name),
      ),
      ...this.publicPorts.descriptors(),
      ...(inherited?.unused ?? []),
    ]
  }

  /** Whether answers end the connections of visitors, so that they connect again. */
  discourageKeepAlive(isOn: boolean): void {
    this.edge.draining = isOn
    for (const server of Object.values(this.#parts.http)) {
      server.off('request', endConnection)
      if (isOn) server.prependListener('request', endConnection)
    }
  }

  /**
   * Closes when another process has taken the sockets over: the ports are closed here at once, visitors
   * that were accepted here are served to the end, agents connect to the other process.
   *
   * @param options.signal - ends the drain: what still runs then is destroyed.
   * @param options.onClosed - called when this process accepts no connections any more; the agents are asked to move
   *   when it has resolved.
   */
  leave(
    options: Pick<DrainTimes, 'longLivedMs'> & {
      readonly signal: AbortSignal
      readonly onClosed: () => Promise<void>
    },
  ): Promise<void> {
    this.#ending ??= this.#leave(options)
    return this.#ending
  }

  /**
   * Drains and closes. Not ready at once; visitors are accepted for `delayMs`, and each answer ends its
   * connection; agents are asked to connect to another server, and serve here until the ports are closed;
   * exchanges finish; long-lived connections are closed after `longLivedMs`.
   *
   * @param options.signal - ends the drain: what still runs then is destroyed.
   */
  close(options: DrainTimes & { readonly signal: AbortSignal }): Promise<void> {
    this.#ending ??= this.#close(options)
    return this.#ending
  }

  /** Replaces the operator's domains, for requests from now on; those that were proved stay behind them. */
  setDomains(rules: readonly DomainRule[]): void {
    this.#parts.domains.setRules(rules)
  }

  /** Replaces the pages that browsers get for errors. */
  setErrorPages(pages: ErrorPages): void {
    this.edge.pages = pages
  }

  /** Reads the folder of these pages again; those before stay where it fails. */
  async readErrorPages(): Promise<void> {
    const { folder } = this.edge.pages
    try {
      const pages = await ErrorPages.read(folder)
      // Another folder may have been set meanwhile.
      if (this.edge.pages.folder === folder) this.setErrorPages(pages)
    } catch (error) {
      this.edge.logger.error({ err: error }, 'error pages not read again, the ones before stay')
    }
  }

  /** Replaces how agents are chosen, for requests and connections from now on. */
  setBalances(rules: readonly BalanceRule[]): void {
    this.registry.setBalance(balanceBy(rules))
  }

  /** Replaces the operator's limits, for requests and connections from now on. */
  setLimits(rules: readonly EndpointLimitRule[]): void {
    this.edge.limiter.configure(rules)
  }

  /** Replaces the operator's rules for visitors, from the next request and connection on. */
  setVisitors(policies: readonly StandingPolicy[]): void {
    this.registry.setStandingRules(this.#parts.gates.standing(policies))
  }

  /** Closes all connections and ports without a drain. */
  destroy(): void {
    const { upstream, inherited } = this.#parts
    this.#stopBeingReady()
    inherited?.close()
    this.#parts.descriptorWatch[Symbol.dispose]()
    this.#parts.domains[Symbol.dispose]()
    for (const part of this.#visitorParts) part.destroy()
    upstream.destroy()
    for (const listeners of Object.values(this.listeners)) listeners.destroy()
  }

  async #leave({
    signal,
    onClosed,
    longLivedMs,
  }: Pick<DrainTimes, 'longLivedMs'> & {
    readonly signal: AbortSignal
    readonly onClosed: () => Promise<void>
  }): Promise<void> {
    const { returning, upstream, inherited } = this.#parts
    using _ = this.#endLongLivedAfter(longLivedMs)
    returning[Symbol.dispose]() // it stays ready: its successor is
    inherited?.close()
    for (const listeners of Object.values<Listeners>({ ...this.listeners })) {
      void listeners.close({ signal }).catch(() => {})
    }
    await onClosed()
    // Kept-alive operators too. Idle connections stay: a request may be on its way.
    this.discourageKeepAlive(true)
    // Visitors of the other process wait meanwhile: as long as agents are here, they are not there.
    await this.edge.settle({ idleMs: 0, requestMs: REQUEST_MS, signal })
    upstream.moveAway({ signal })
    await this.#drain(signal)
  }

  async #drain(signal: AbortSignal): Promise<void> {
    // Visitors before agents: their exchanges need the agents' sessions.
    await Promise.all(this.#visitorParts.map(async (part) => await part.drain({ signal })))
    await this.#parts.upstream.drain({ signal })
    this.destroy()
  }

  /** Where connections of visitors and consumers end. */
  get #visitorParts() {
    return [this.edge, this.publicPorts, this.#parts.connect] as const
  }

  /** From here on endpoints that are lost are lost because this process ends. */
  #stopBeingReady(): void {
    this.#parts.state.stop()
    this.#parts.returning[Symbol.dispose]()
  }

  /**
   * Serves until a time of `performance.now`, and longer while there are long-lived connections.
   *
   * @param atMost - latest time, if that is sooner than either. Default: none.
   */
  async #serveUntil(
    { delay: delayEnd, longLived }: Readonly<Record<'delay' | 'longLived', number>>,
    signal: AbortSignal,
    atMost = Infinity,
  ): Promise<void> {
    await this.#whileServing(Math.min(delayEnd, atMost), signal)
    await this.#whileServing(Math.min(longLived, atMost), signal, () => this.#hasLongLived)
  }

  async #close({
    signal,
    delayMs,
    idleMs = 0,
    longLivedMs,
  }: DrainTimes & { readonly signal: AbortSignal }): Promise<void> {
    const { upstream, inherited } = this.#parts
    using _ = this.#endLongLivedAfter(longLivedMs)
    this.#stopBeingReady()
    this.discourageKeepAlive(true)
    const beganAt = performance.now()
    const endsAfter = (ms: number) => ({
      delay: beganAt + (delayMs ?? 0) - ms,
      longLived: beganAt + Math.max(delayMs ?? 0, longLivedMs ?? 0) - ms,
    })
    if (delayMs !== undefined) await this.#serveUntil(endsAfter(MOVE_MS), signal)
    upstream.askToMove({ perSecond: MOVES_PER_SECOND, keep: true })
    if (delayMs !== undefined) {
      await this.#serveUntil(endsAfter(0), signal, performance.now() + MOVE_MS)
    }
    // Closed, not kept for a later listener: what connects now waits for the next process.
    inherited?.close()
    // These ports are closed first; that resolves when the last connection has ended. The admin port
    // stays open to the end, to tell that the server is not ready.
    const { proxy, upstream: agents } = this.listeners
    const acceptQueued = delayMs !== undefined
    await agents.free({ signal, acceptQueued })
    // What connects after the close waits for the next process, which starts when this one has ended: visitors
    // are accepted while it waits for those that are idle.
    if (proxy.isShared) await this.edge.settle({ idleMs, requestMs: 0, signal })
    // Before the visitors are looked at: those that come out of the queues need their agents too.
    await proxy.free({ signal, acceptQueued })
    // Those that began in the delay, after the time of the others.
    const passedMs = performance.now() - beganAt
    using _late = this.#endLongLivedAfter(Math.max(0, (longLivedMs ?? Infinity) - passedMs))
    const freed = [proxy, agents].map((one) => one.close({ signal }).catch(() => {}))
    const requestMs = delayMs === undefined ? 0 : REQUEST_MS
    await this.edge.settle({ idleMs: proxy.isShared ? 0 : idleMs, requestMs, signal })
    upstream.letGo()
    await this.#drain(signal)
    await Promise.all(freed)
  }

  /** Whether connections are open that have no end of their own. */
  get #hasLongLived(): boolean {
    const hasPublic = this.publicPorts.visitors.counts().open > 0
    const hasOwn = hasPublic || this.#parts.connect.connections > 0 || this.edge.hasLongLived
    return hasOwn || this.registry.remote?.hasLongLived === true
  }

  /**
   * Waits until a time of `performance.now`, or until no agent is left: without one no visitor can be served.
   *
   * @param isNeeded - ends the wait when it is false. Default: always true.
   */
  async #whileServing(
    untilMs: number,
    signal: AbortSignal,
    isNeeded: () => boolean = () => true,
  ): Promise<void> {
    const { sessions } = this.#parts.upstream
    const goesOn = (): boolean => sessions.size > 0 && !signal.aborted && isNeeded()
    while (performance.now() < untilMs && goesOn()) {
      const leftMs = untilMs - performance.now()
      await delay(Math.min(leftMs, LOOK_MS), undefined, { signal }).catch(() => {})
    }
  }

  #endLongLivedAfter(ms = Infinity): Disposable {
    return runAfter(ms, () => {
      this.edge.endLongLived()
      this.publicPorts.visitors.destroy()
      this.#parts.connect.endConnections()
      this.registry.remote?.endLongLived()
    })
  }
}

function construct(options: ServerOptions): ServerParts {
  const { logger, software, authenticator, probeTimeoutMs } = options
  const store = options.store ?? memoryStore(logger)
  const cluster = options.cluster ?? aloneMember(unnamed(), software.split('/').at(-1) ?? '')
  const state = new ServerState()
  const awaited = options.expected?.endpoints ?? store.served.before
  const expected = new Set(awaited.map(endpointKey))
  // Those that had agents when the process before ended, and those that are reserved.
  const isExpected = (endpoint: Endpoint): boolean => {
    if (expected.has(endpointKey(endpoint))) return true
    try {
      return store.reservations.find(endpoint) !== undefined
    } catch (error) {
      // A visitor must not end the server because its store cannot be read.
      logger.warn({ err: error }, 'reserved names cannot be read: no visitor waits for them')
      return false
    }
  }
  // A process that replaces another one knows all names, unless that had just started.
  const waits =
    options.expected === undefined
      ? options.waits
      : { ...options.waits, startWaitMs: options.expected.startLeftMs }
  const registry = new UpstreamRegistry<Gate>(
    new VisitorWaits(waits, isExpected),
    new StreamQuota(options.quota),
  )
  const changes = new ChangeFeed()
  store.audit.onWrite = changes.noteAudit
  store.onChange = (parts) => changes.note(...parts)
  registry.on('route', () => changes.note('agents', 'endpoints'))
  registry.on('remote', () => changes.note('agents', 'endpoints'))
  auditNames(registry, store.audit)
  const returning = new ReturningEndpoints({
    ...options.ready,
    countsRemote: options.processes !== undefined && options.processes > 1,
    // What the process before was still waiting for is in the store only.
    before: store.served.before.length > 0 ? store.served.before : awaited,
    registry,
    served: store.served,
    logger,
  })
  const gates = new VisitorGates()
  registry.setStandingRules(gates.standing(options.visitors ?? []))
  const authorize = refusePages(options.authorize ?? authenticator?.authorize ?? allowAll, {
    hosts: options.hosts ?? {},
    isProtected: (port) => authenticator?.isProtected(port) ?? false,
    isReachable: (port) => state.isReachable(port),
  })
  const windowBudget = new WindowBudget(Math.ceil(WINDOW_BUDGET_BYTES / (options.processes ?? 1)))
  const common = {
    registry,
    // One limit for the process, for the sessions of both ports.
    windowBudget,
    software,
    logger,
    authorize,
    // One id for both ports, a new one for each start: peers spread their connections by it.
    node: cluster.view.local.boot,
  }
  const names = {
    reservations: store.reservations,
    nameRetryAfterMs: nameRetryAfterMs(probeTimeoutMs),
  }
  const peer = { addressOf, certificateOf }
  const budget = new ConnectionBudget(options.connections)
  registry.quota.connectionsOf = (address) => budget.visitorsOf(sourceOf(address))
  registry.waits.sourceOf = sourceOf
  registry.waits.hasPeers = (options.processes ?? 1) > 1
  const upstreamConnections = new UpstreamConnections(options.upstreamPort ?? {}, budget, logger)
  const onAccepted = (socket: Duplex): void => upstreamConnections.authenticated(socket)
  const connect = new ConsumerAcceptor({ ...common, onAccepted })
  const offlinePages = new OfflinePages()
  // An agent that is back, here or at another node, gives its page anew there, and that of another identity is over.
  registry.on('endpoint', (endpoint, isPresent) => {
    if (isPresent) offlinePages.delete(endpoint)
  })
  registry.on('remote', (endpoint) => {
    if (registry.countLocal(endpoint) > 0 || registry.count(endpoint) === 0) return
    offlinePages.delete(endpoint)
  })
  const ownerOf = (endpoint: Endpoint): string | undefined =>
    store.reservations.find(endpoint)?.identity
  const edge = new HttpProxy(options.edge ?? {}, {
    registry,
    connect,
    authenticator,
    budget,
    accessLog: options.accessLog,
    tracer: options.tracer,
    pages: options.errorPages,
    offlinePage: (endpoint, code) => offlinePages.find(endpoint, code, ownerOf),
    logger,
  })
  const domains = new ProvedDomains(options.edge?.domains ?? [], {
    ...options.domainProof,
    store,
    ownDomains: ownDomainsOf(edge.options),
    onRules: (table, files) => {
      edge.domains = table
      edge.proofFiles = files
    },
    logger,
  })
  const { accessLog, tracer } = options
  registry.onConnection = (ended) => {
    edge.history.countConnection(ended)
    accessLog?.connection(ended)
    tracer?.connection(ended)
  }
  registry.on('endpoint', (endpoint, isServed) => edge.history.setServed(endpoint, isServed))
  edge.limiter.configure(options.limits ?? [])
  registry.onLimits = (endpoint, limits) => edge.limiter.setWishes(endpoint, limits)
  registry.setBalance(balanceBy(options.balances ?? []))
  registry.admitConnection = (endpoint, client) => {
    if (edge.limiter.isEmpty) return undefined
    const lease = edge.limiter.take(endpoint, client)
    if (lease === undefined) return undefined
    return lease instanceof LimitLease ? lease : 'limitReached'
  }
  const publicPorts = new PublicPorts(options.publicPorts ?? {}, {
    registry,
    deadlines: edge.deadlines,
    budget,
    logger,
    defaultHosts: () => state.publicPortHosts,
    reservations: new StoredPorts(store.reservations, logger),
    inherited: options.inherited,
    claims: cluster.portClaims,
    onChange: (event, { number: port, owner: { endpoint, identity } }) =>
      store.audit.write(`port.${event}`, {
        tenant: endpoint.tenant,
        endpoint: endpoint.name,
        identity,
        port,
      }),
  })
  const scheme = options.proxy?.tls === undefined ? 'http' : 'https'
  const urls = (endpoint: Endpoint): string[] =>
    endpointUrls(
      endpoint,
      { ...edge.options, scheme, port: state.proxyPort },
      edge.domains.namesOf(endpoint),
    )
  const upstream = new UpstreamAcceptor({
    ...common,
    ...names,
    ...peer,
    ...(cluster.claims !== undefined && { claims: cluster.claims }),
    onAccepted,
    publicPorts,
    urls,
    readVisitorRules: gates.read,
    onLongLivedOver: (session) => edge.endLongLived(session),
    onNameRejected: ({ conflict, endpoint: { tenant, name }, ...asked }) =>
      store.audit.write('name.refused', {
        ...asked,
        tenant,
        endpoint: name,
        holder: conflict.holder,
        heldBy: conflict.identity,
      }),
    ...(probeTimeoutMs !== undefined && { probeTimeoutMs }),
  })
  const reserving = {
    ...names,
    registry,
    portOf: (owner: PortOwner) => publicPorts.portOf(owner),
    store,
  }
  const asking = { ...reserving, ...peer, authorize, logger }
  const apis = [
    createReservationsApi(asking),
    createDomainsApi({ ...asking, domains }),
    createOfflinePagesApi({ ...asking, pages: offlinePages }),
  ]
  const adminConnections = new PortConnections(budget)
  const descriptorWatch = new DescriptorWatch({
    limit: options.descriptors ?? Infinity,
    connections: () => ({
      proxy: edge.sockets.open,
      public: publicPorts.visitors.sockets.open,
      upstream: upstreamConnections.sockets.open,
      admin: adminConnections.open,
    }),
    logger,
  })
  const admin = createServerAdmin({
    ...peer,
    sources: {
      edge,
      registry,
      publicPorts,
      cluster: cluster.view,
      upstreamConnections: upstreamConnections.sockets,
      adminConnections,
      descriptorsExhausted: () => descriptorWatch.exhausted,
      failedAccepts: () => state.failedAccepts,
      sessions: () => upstream.sessions.size,
      tls: tlsPorts(options),
      handshakes: authenticator?.limits,
      auditDropped: () => store.audit.dropped(),
      accessLog: () => options.accessLog?.counts,
      spans: () => options.tracer?.counts,
      leftOutLines: options.leftOutLines ?? (() => 0),
    },
    hosts: options.hosts?.admin ?? [],
    workers: options.workers,
    readiness: () => readinessOf(state, returning),
    api: (status, sessions) =>
      createAdminApi({
        ...reserving,
        domains,
        status,
        sessions,
        signIn: {
          oidc: options.oidc,
          onFailed: (address) => authenticator?.limits.failed(address),
        },
        changesNeedKey: authenticator?.hasOperatorKey ?? false,
        version: cluster.view.local.version,
        logger,
      }),
    live: {
      urls,
      reservations: store.reservations,
      accesses: () => connect.consumers,
      changes,
      configuration: options.configuration ?? (() => []),
      agents: {
        drain: (agent) => upstream.drainAgent(agent, { signal: AbortSignal.timeout(DRAIN_MS) }),
        disconnect: (agent) => upstream.disconnectAgent(agent, 'an operator asked for it'),
      },
    },
    authenticator,
  })
  const http = {
    upstream: createUpstreamPort({ upstream, connect, apis }),
    admin: admin.server,
  }
  cluster.attach?.({
    registry,
    upstream,
    publicPorts,
    gates,
    windowBudget,
    readPage: admin.read,
    onLongLivedOver: (session) => edge.endLongLived(session, 'server'),
  })
  const { inherited } = options
  return {
    state,
    returning,
    expected: awaited,
    registry,
    gates,
    edge,
    domains,
    publicPorts,
    inherited,
    upstream,
    connect,
    upstreamConnections,
    adminConnections,
    descriptorWatch,
    http,
  }
}

async function listenOn(
  options: ServerOptions,
  { edge, upstreamConnections, adminConnections, http }: ServerParts,
): Promise<ServerListeners> {
  const { inherited } = options
  const requests = [
    {
      ...listenRequest(options.proxy, '*:8000'),
      name: 'proxy',
      inherited,
      onConnection: (socket, { address }) => edge.accept(socket, address),
    },
    {
      ...listenRequest(options.upstream, '*:8001', (socket, address) =>
        upstreamConnections.accept(socket, address),
      ),
      name: 'upstream',
      inherited,
      server: http.upstream,
    },
  ] as const satisfies readonly ListenRequest[]
  if (options.admin === 'elsewhere') {
    const [proxy, upstream] = await listenTogether(requests)
    return { proxy, upstream, admin: Listeners.none() }
  }
  const [proxy, upstream, admin] = await listenTogether([
    ...requests,
    {
      ...listenRequest(options.admin, 'localhost:8002', (socket) => {
        if (adminConnections.admitOperator(socket) === undefined) return true
        adminConnections.reject(socket, TOO_MANY_CONNECTIONS)
        return false
      }),
      name: 'admin',
      inherited,
      server: http.admin,
    },
  ])
  return { proxy, upstream, admin }
}

/**
 * When an agent asks again for a name that another one has. By then the ping that its request has caused must
 * be answered or not: an exclusive agent that is rejected twice ends.
 */
export function nameRetryAfterMs(probeMs = TUNNEL_LIMITS.probeTimeoutMs.default): number {
  return Math.max(TUNNEL_LIMITS.nameRetryAfterMs.default, probeMs * 1.5)
}

function readinessOf(
  { phase }: ServerState,
  { isEnough, counts }: ReturningEndpoints,
): ReadyStatus {
  const state = phase === 'ready' && !isEnough ? 'waiting' : phase
  return { ready: state === 'ready', state, ...(counts.before > 0 && { endpoints: counts }) }
}

/** Of a server whose caller keeps no node id. */
function unnamed(): NodeIdentity {
  const id = randomBytes(8).toString('hex')
  return { id, boot: id }
}

/** The answer says so, and the client connects again for its next request. */
function endConnection(_: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false
}

function balanceBy(rules: readonly BalanceRule[]): (endpoint: Endpoint) => Balance {
  const said = rules.flatMap(({ name, balance }) =>
    balance === undefined ? [] : [{ name, balance }],
  )
  return ({ name }) =>
    said.find((rule) => matchesPattern(rule.name, name))?.balance ?? 'round-robin'
}

function tlsPorts({ proxy, upstream, admin }: ServerOptions): TlsPortStatus[] {
  return Object.entries({ proxy, upstream, admin }).flatMap(([name, listener]) =>
    typeof listener !== 'object' || listener.tls === undefined
      ? []
      : [{ name, front: listener.tls }],
  )
}

function addressOf({ socket }: IncomingMessage): string | undefined {
  return peerOf(socket)?.address
}

function certificateOf({ socket }: IncomingMessage): ClientCertificate | undefined {
  return clientCertificateOf(socket)
}
