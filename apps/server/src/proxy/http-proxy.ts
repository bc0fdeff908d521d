import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import { type Gate, sourceOf } from '@proj/auth'
import type { Session } from '@proj/mux'
import type { Logger } from '@proj/tunnel'
import type { ConsumerAcceptor, UpstreamRegistry } from '@proj/tunnel/server'

import type { AccessLog } from '../access-log/access-log.ts'
import type { Tracer } from '../tracing/tracer.ts'
import { EndpointHistory } from '../endpoint-history/endpoint-history.ts'
import { EndpointLimiter } from '../endpoint-limits/endpoint-limiter.ts'
import type { Authenticator } from '../auth/authenticator.ts'
import { type ConnectionBudget, PortConnections } from '../connection-budget.ts'
import { Deadlines } from './deadlines.ts'
import { DomainTable } from './domains.ts'
import { ErrorPages } from './error-pages.ts'
import { ForwardedNote } from './forwarded-note.ts'
import { ProxyHeaderNote } from '../proxy-protocol.ts'
import { RateLooks } from './min-rate.ts'
import type { ProxyContext } from './proxy-context.ts'
import { TOO_MANY_CONNECTIONS } from './proxy-errors.ts'
import {
  type ProxyOptions,
  type ResolvedProxyOptions,
  resolveProxyOptions,
} from './proxy-options.ts'
import { ProxyStats } from './proxy-stats.ts'
import { RequestAdmission } from './request-admission.ts'
import { RequestIds } from './request-ids.ts'
import { StreamPool } from './stream-pool.ts'
import { TrustedProxies } from './trusted-proxies.ts'
import type { Stopping, UpgradedConnection } from './upgraded-connection.ts'
import { VisitorConnection } from './visitor-connection.ts'

/** What the proxy works with. */
export interface HttpProxyParts {
  /** Where upstreams are found. */
  readonly registry: UpstreamRegistry<Gate>
  /** Takes requests for the connect route. */
  readonly connect: ConsumerAcceptor
  /** Checks the tokens of visitors. Default: visitors need none. */
  readonly authenticator?: Authenticator | undefined
  /** Shared with the other ports. */
  readonly budget: ConnectionBudget
  /** Gets a line for each request. Default: there is none. */
  readonly accessLog?: AccessLog | undefined
  /** Makes a span of each request. Default: there are none. */
  readonly tracer?: Tracer | undefined
  /** Pages of the operator for errors. Default: none. */
  readonly pages?: ErrorPages | undefined
  /** Default: endpoints have no pages. */
  readonly offlinePage?: ProxyContext['offlinePage'] | undefined
  readonly logger: Logger
}

/** How often it is looked whether visitors still need a route, ms: they do for a round trip. */
const SETTLE_POLL_MS = 10

/** Shortest tick; shorter timeouts than a few of these are met late. */
const MIN_TICK_MS = 10
const MAX_TICK_MS = 250

/** The proxy port: visitors' connections in, requests to agents out. */
export class HttpProxy implements ProxyContext {
  readonly options: ResolvedProxyOptions
  readonly registry: UpstreamRegistry<Gate>
  readonly connect: ConsumerAcceptor
  readonly authenticator: Authenticator | undefined
  readonly accessLog: AccessLog | undefined
  readonly tracer: Tracer | undefined
  readonly logger: Logger
  readonly requestIds: RequestIds = new RequestIds()
  readonly limiter: EndpointLimiter = new EndpointLimiter()
  /** Replaced when the settings are read again; for requests from then on. */
  domains: DomainTable
  /** Replaced likewise. */
  pages: ErrorPages
  /** Replaced when a domain is proved, or is not any more. */
  proofFiles: ReadonlyMap<string, string> = new Map()
  readonly offlinePage: ProxyContext['offlinePage']
  readonly trusted: TrustedProxies
  readonly forwardedNote: ForwardedNote
  readonly proxyHeaderNote: ProxyHeaderNote
  readonly pool: StreamPool
  readonly deadlines: Deadlines
  readonly stats: ProxyStats = new ProxyStats()
  readonly history: EndpointHistory = new EndpointHistory()
  readonly admission: RequestAdmission
  readonly upgraded = new Set<UpgradedConnection>()
  draining = false

  /** Every connection of the port, also one that was upgraded or carries an access. */
  readonly sockets: PortConnections
  /** Each with its source, oldest first. */
  readonly #visitors = new Map<VisitorConnection, string | undefined>()
  #whenEmpty: (() => void) | undefined

  /** @throws {RangeError} naming an option out of range. */
  constructor(options: ProxyOptions, parts: HttpProxyParts) {
    this.options = resolveProxyOptions(options)
    this.registry = parts.registry
    this.connect = parts.connect
    this.authenticator = parts.authenticator
    this.accessLog = parts.accessLog
    this.tracer = parts.tracer
    this.logger = parts.logger
    const { headTimeoutMs, firstByteTimeoutMs, idleTimeoutMs } = this.options
    const { lingerTimeoutMs, minRateGraceMs } = this.options
    const shortest = Math.min(
      headTimeoutMs,
      firstByteTimeoutMs,
      idleTimeoutMs,
      lingerTimeoutMs,
      minRateGraceMs,
    )
    this.deadlines = new Deadlines(Math.max(MIN_TICK_MS, Math.min(MAX_TICK_MS, shortest / 8)))
    this.deadlines.add(new RateLooks(this.deadlines, this.options, this.#lookAtRates))
    this.domains = new DomainTable(options.domains ?? [])
    this.pages = parts.pages ?? ErrorPages.none
    this.offlinePage = parts.offlinePage ?? (() => undefined)
    this.trusted = new TrustedProxies(this.options)
    this.forwardedNote = new ForwardedNote(this.trusted.isEmpty, this.logger)
    this.proxyHeaderNote = new ProxyHeaderNote('proxy', this.logger)
    const pool = new StreamPool(this.options, this.deadlines)
    this.registry.on('remote', (endpoint) => pool.endRemote(endpoint))
    this.registry.makeRoom = (upstream, endpoint) => pool.makeRoom(upstream, endpoint)
    this.pool = pool
    this.sockets = new PortConnections(parts.budget)
    parts.budget.dropIdle = (source) => this.#dropIdle(source)
    this.admission = new RequestAdmission(this.options, {
      stats: this.stats,
      visitors: () => this.#visitors.size,
      olderThan: (ageMs) => this.#olderThan(ageMs),
      logger: this.logger,
    })
  }

  /** Visitors' connections open now, without those that were upgraded. */
  get connections(): number {
    return this.#visitors.size
  }

  /**
   * Takes a connection over.
   *
   * @param clientAddress - the peer's address, normalised.
   */
  accept(socket: Socket, clientAddress: string): void {
    socket.setNoDelay(true)
    // Behind a trusted proxy all visitors have its address.
    const { maxConnections: max, maxConnectionsPerSource: maxPerSource } = this.options
    const isTrusted = this.trusted.has(clientAddress)
    const source = isTrusted ? undefined : sourceOf(clientAddress)
    const limits = { max, maxPerSource, dropsIdle: true }
    if (this.sockets.admitVisitor(socket, source, limits) !== undefined) {
      this.sockets.reject(socket, TOO_MANY_CONNECTIONS)
      return
    }
    const facts = {
      clientAddress,
      scheme: 'encrypted' in socket ? 'https' : 'http',
      isTrusted,
    } as const
    const visitor = new VisitorConnection(this, socket, facts, this.#forget)
    this.#visitors.set(visitor, source)
  }

  /** Requests that began more than `ageMs` ago and wait for an answer. */
  #olderThan(ageMs: number): number {
    const before = performance.now() - ageMs
    let count = 0
    for (const visitor of this.#visitors.keys()) if (visitor.waitsSince < before) count += 1
    return count
  }

  /** Drops the oldest idle visitor, of one source or of all. @returns whether there was one. */
  #dropIdle(source?: string): boolean {
    for (const [visitor, from] of this.#visitors) {
      if (!visitor.isIdle || (source !== undefined && from !== source)) continue
      this.#forget(visitor)
      visitor.destroy()
      return true
    }
    return false
  }

  readonly #lookAtRates = (elapsedMs: number): void => {
    for (const visitor of this.#visitors.keys()) visitor.lookAtRate(elapsedMs)
  }

  readonly #forget = (visitor: VisitorConnection): void => {
    this.#visitors.delete(visitor)
    if (this.#visitors.size === 0) this.#whenEmpty?.()
  }

  /**
   * Waits until every connection that was accepted has sent its request and the request has its agent, and
   * ends the kept-alive ones that are idle. For a process that does not accept any more.
   *
   * @param options.idleMs - how long idle connections stay: a request may be on its way.
   * @param options.requestMs - how long accepted connections may take for their request.
   * @param options.signal - ends the wait.
   */
  async settle(options: {
    readonly idleMs: number
    readonly requestMs: number
    readonly signal: AbortSignal
  }): Promise<void> {
    const { idleMs, requestMs, signal } = options
    this.draining = true
    const beganAt = performance.now()
    for (;;) {
      const visitors = [...this.#visitors.keys()]
      const passedMs = performance.now() - beganAt
      const isIdleOver = passedMs >= idleMs || signal.aborted
      if (isIdleOver) for (const one of visitors) if (!one.needsRoute) one.closeIfIdle()
      const isAsking = passedMs < requestMs && visitors.some(({ needsRoute }) => needsRoute)
      const isKept = !isIdleOver && visitors.some(({ isIdle, needsRoute }) => isIdle && !needsRoute)
      if (signal.aborted || (!isAsking && !isKept)) return
      await delay(SETTLE_POLL_MS)
    }
  }

  /** Whether there are upgraded connections or event streams. */
  get hasLongLived(): boolean {
    return this.upgraded.size > 0 || [...this.#visitors.keys()].some((one) => one.isLongLived)
  }

  /**
   * Ends what has no end of its own, each as its protocol wants: WebSockets, event streams, other upgrades.
   *
   * @param session - only what goes over this session, whose agent or node stops. Default: all, the server stops.
   * @param who - what visitors are told. Default: the agent stops if there is a session.
   */
  endLongLived(
    session?: Session,
    who: Stopping = session === undefined ? 'server' : 'agent',
  ): void {
    for (const connection of this.upgraded) {
      if (session === undefined || connection.channel.session === session) connection.close(who)
    }
    for (const visitor of this.#visitors.keys()) visitor.endLongLived(session)
  }

  /**
   * Lets running exchanges finish; idle connections end now, the others with their response.
   *
   * @param options.signal - stops waiting; `destroy` ends what still runs then.
   */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.draining = true
    for (const visitor of this.#visitors.keys()) visitor.closeIfIdle()
    if (this.#visitors.size > 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    this.pool.close()
  }

  /** Ends every connection now. */
  destroy(): void {
    this.draining = true
    for (const visitor of this.#visitors.keys()) visitor.destroy()
    this.pool.close()
    this.admission.close()
    this.deadlines.close()
  }
}
