// Length: one session of an agent, from its handshake to its end.
import { agentIdOf } from './agent-id.ts'
import {
  type Channel,
  type ChannelSink,
  DEFAULTS,
  isMuxError,
  type Session,
  type StreamCount,
  type WindowBudget,
} from '@proj/mux'

import { onAborted } from '../abortable.ts'
import { isTunnelError } from '../errors.ts'
import { runAfter } from '../run-after.ts'
import type { ControlMessage, RejectedAnswer } from '../protocol/control-message.ts'
import { Doubt } from '../protocol/doubt.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import { limitNames } from '../protocol/endpoint-limits.ts'
import { LivenessProbe } from '../protocol/liveness-probe.ts'
import type { Register } from './judge-registration.ts'
import type { NameLease } from './name-claims.ts'
import { RejectionRate, TOLD_REJECTED } from '../protocol/rejection-rate.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import { GO_AWAY, TunnelSession } from '../protocol/tunnel-session.ts'
import { UpstreamEndpoints, type UpstreamEndpointsOptions } from './upstream-endpoints.ts'
import type { Upstream } from './upstream.ts'
import type { WebSocketPipe } from '../websocket/pipe.ts'

/** What the server knows of a session when its handshake is done. */
export interface UpstreamSessionOptions extends UpstreamEndpointsOptions {
  /** Names the session in logs. */
  readonly id: string
  /** Wire agreed in the handshake. */
  readonly protocol: 'piko' | 'adit'
  /** Endpoint of the route; registered at once on the baseline wire, by message on ours. */
  readonly endpoint: string
  /** On the baseline wire: the claim of its name, where names are claimed. */
  readonly lease: NameLease | undefined
  /** Memory that windows of all sessions may grow by together. */
  readonly windowBudget: WindowBudget
  /** IP address of the peer; undefined when its connection was gone already. */
  readonly remoteAddress: string | undefined
  /** URLs visitors can use, sent to Adit agents when they register. */
  readonly urls: (endpoint: Endpoint) => readonly string[]
  /** Names this server to its agents. */
  readonly node: string
  /** Program and version, sent to the peer. */
  readonly software: string
  /** See `UpstreamAcceptorOptions`. */
  readonly onLongLivedOver: (session: Session) => void
  /** Time a peer has to answer a ping of the probe, ms. */
  readonly probeTimeoutMs: number
  /** Time an Adit agent has for its `hello`, ms. */
  readonly helloTimeoutMs: number
}

/** How an agent is asked to connect elsewhere. */
export interface MoveOptions {
  /** How long it is to wait before, ms. */
  readonly delayMs?: number
  /** Whether it serves visitors until it is let go. Default false. */
  readonly keep?: boolean
}

/** Makes an agent come back, Piko's too; see docs/protocol.md, "Mux". */
const GO_AWAY_COME_BACK = GO_AWAY.internalError

/** How long it is not said again that a session is full, ms. */
const FULL_LOG_MS = 60_000
const FULL_HINT =
  'raise connect.connections at the agent, or limit what its visitors may do at once'

/** Streams an agent may open: the control stream, and room for what a later version may add. */
export const MAX_INBOUND_STREAMS = 8

/**
 * The server's end of an agent's session: the endpoints it serves, and streams to it. The agent's end
 * is `ListenSession`. On the baseline wire the session has the one endpoint of its route.
 */
export class UpstreamSession implements Upstream {
  readonly id: string
  readonly protocol: 'piko' | 'adit'
  readonly remoteAddress: string | undefined
  readonly connectedAt: number = Date.now()
  peer: string
  agentId: string
  software: string | undefined

  readonly #session: TunnelSession
  readonly #options: UpstreamSessionOptions
  readonly #endpoints: UpstreamEndpoints
  readonly #probe: LivenessProbe
  readonly #leaving = new AbortController()
  /** Open streams by endpoint, of endpoints that are served or have some. */
  readonly #streams = new Map<string, StreamCount>()
  #draining = false
  /** The agent serves visitors until `letGo`, also when it has connected elsewhere. */
  #isKept = false
  #wantsToGo = false
  /** Until the agent wants its long-lived connections ended. */
  #longLived: Disposable | undefined
  #loggedFullAtMs = -Infinity
  readonly #toldRejected = new RejectionRate(TOLD_REJECTED)
  readonly #doubt: Doubt

  /** Takes the pipe over. */
  constructor(pipe: WebSocketPipe, options: UpstreamSessionOptions) {
    const { id, protocol, logger } = options
    this.#options = options
    this.id = id
    this.peer = id
    this.agentId = id
    this.protocol = protocol
    this.remoteAddress = options.remoteAddress
    this.#endpoints = new UpstreamEndpoints(this, options)
    this.#session = new TunnelSession(
      pipe,
      {
        role: 'server',
        protocol,
        hello: { software: options.software, peer: options.node },
        helloTimeoutMs: options.helloTimeoutMs,
        windowBudget: options.windowBudget,
        maxInboundStreams: protocol === 'adit' ? MAX_INBOUND_STREAMS : 0,
        abortCode: GO_AWAY_COME_BACK,
      },
      {
        onStream: (channel) => {
          // An agent opens no streams but its control stream.
          channel.reset(RESET_REASONS.protocolError)
          return undefined
        },
        onHello: ({ peer, software }) => {
          if (peer !== '') {
            this.peer = peer
            this.agentId = agentIdOf(options.grant, peer)
          }
          this.software = software
        },
        onMessage: (message) => this.#onMessage(message),
        onViolation: ({ code, message }) => {
          logger.warn({ sessionId: id, code }, `agent broke protocol: ${message}`)
        },
        // The agent is leaving: route nothing to it from now on, let its open streams finish.
        onLeaving: (isOrderly) => this.#unregisterAll(!isOrderly),
        onClose: (error) => {
          this.#probe.stop()
          this.#longLived?.[Symbol.dispose]()
          this.#unregisterAll(true)
          const code = isMuxError(error) || isTunnelError(error) ? error.code : undefined
          // With a session on which it registers nothing, an agent looks whether a balancer has another server.
          const isLook = code === 'MUX_TRANSPORT_CLOSED' && !this.#endpoints.hasServed
          logger[isLook ? 'debug' : 'info']({ sessionId: id, code }, 'agent session ended')
        },
      },
    )
    this.#doubt = new Doubt(this.#session.mux)
    this.#probe = new LivenessProbe(this.#session.mux, options.probeTimeoutMs, () => {
      this.end(`no answer to a ping within ${options.probeTimeoutMs} ms`)
    })
    onAborted(options.grant.ended, this.#session.closed, (reason) => {
      logger.info(
        { sessionId: id, identity: this.identity, why: reason },
        'right of an agent ended',
      )
      this.#unregisterAll(false)
      void this.#session.endRight(reason)
    })
    if (protocol === 'piko') this.#endpoints.addOnly(options.endpoint, options.lease)
  }

  /** @inheritdoc */
  get identity(): string {
    return this.#options.grant.identity
  }

  /** @inheritdoc */
  get roundTripMs(): number | undefined {
    return this.#session.mux.lastRttMs
  }

  /** @inheritdoc */
  get tenant(): string {
    return this.#options.grant.tenant
  }

  /** @inheritdoc */
  get leaving(): AbortSignal {
    return this.#leaving.signal
  }

  /** @inheritdoc */
  get openStreams(): number {
    return this.#session.mux.openStreams
  }

  /** @inheritdoc */
  get carriesBulk(): boolean {
    return this.#session.mux.carriesBulk
  }

  /** @inheritdoc */
  get maxStreams(): number {
    return DEFAULTS.maxOutboundStreams
  }

  /** @inheritdoc */
  get openable(): number {
    return this.#leaving.signal.aborted ? Infinity : this.#session.mux.openable
  }

  /** @inheritdoc */
  get endpointCount(): number {
    return this.#endpoints.names.size
  }

  /** @inheritdoc */
  streamsOf(endpoint: string): number {
    return this.#streams.get(endpoint)?.open ?? 0
  }

  /** @inheritdoc */
  get suspect(): boolean {
    return this.#probe.pending || this.#doubt.isUnanswered
  }

  get endpoints(): ReadonlySet<string> {
    return this.#endpoints.names
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /** @inheritdoc */
  openStream(record: StreamRecord, sink?: ChannelSink): Channel {
    try {
      const channel = this.#session.openStream(record, sink, this.#countOf(record.endpoint))
      // Its acknowledgement is an answer that the agent owes.
      this.#doubt.begin()
      return channel
    } catch (error) {
      if (isMuxError(error, 'MUX_STREAM_LIMIT')) this.#logFull()
      throw error
    }
  }

  #countOf(endpoint: string): StreamCount {
    const known = this.#streams.get(endpoint)
    if (known !== undefined) return known
    // Names come and go; there are never more than the session serves, and as many that it did.
    if (this.#streams.size > 2 * this.#endpoints.names.size) {
      for (const [name, { open }] of this.#streams) if (open === 0) this.#streams.delete(name)
    }
    const count = { open: 0 }
    this.#streams.set(endpoint, count)
    return count
  }

  /** @inheritdoc */
  async whenRoom({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#session.mux.whenRoom({ signal })
  }

  /**
   * Asks an Adit agent to connect elsewhere. Visitors are routed to it until it confirms that it has,
   * so its endpoints are always served. Piko's agents cannot be asked.
   *
   * @param options.delayMs - how long the agent is to wait before it connects elsewhere. Default: as configured.
   * @param options.keep - route visitors to it until `letGo`, also when it has confirmed; it waits 5 s at most.
   */
  askToMove({ delayMs, keep = false }: MoveOptions = {}): void {
    if (this.#draining) return
    this.#draining = true
    if (keep && this.protocol === 'adit') {
      this.#isKept = true
      this.#session.keepControl()
    }
    const retryAfterMs = delayMs ?? this.#options.drainRetryAfterMs
    this.#session.send({ type: 'drain', retryAfterMs })
  }

  /** An agent that was kept by `askToMove` may go. */
  letGo(): void {
    if (!this.#isKept) return
    this.#isKept = false
    if (!this.#wantsToGo) return
    this.#unregisterAll(false)
    this.#session.endControl()
  }

  /**
   * Ends the session in good order: no new streams, the open ones finish, then GoAway 2 as the last
   * frame, which makes Piko's agents come back.
   *
   * @param options.signal - ends the wait: streams that are still open are then cut off.
   */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.askToMove()
    this.#unregisterAll(true)
    await this.#session.end({ signal, code: GO_AWAY_COME_BACK })
  }

  /** Whether it was asked to move, or is ending. */
  get isMoving(): boolean {
    return this.#draining || this.#leaving.signal.aborted
  }

  /**
   * The name of an endpoint belongs to another identity now: no visitor is routed here for it any more, and the
   * agent connects again and learns why.
   */
  loseName(name: string): void {
    if (!this.#endpoints.names.has(name)) return
    this.#endpoints.remove(name)
    if (this.protocol === 'adit') this.askToMove()
    else this.abort() // it has no other endpoint
  }

  /** Ends the session now, in a way that makes the agent come back. */
  abort(): void {
    this.#unregisterAll(true)
    this.#session.abort()
  }

  /** @inheritdoc */
  doubt(isAtOnce = false): void {
    if (!this.#leaving.signal.aborted) this.#doubt.ask(isAtOnce)
  }

  /** @inheritdoc */
  agentsChanged(endpoint: Endpoint): void {
    if (this.#leaving.signal.aborted) return
    const { agents: others, hosts: otherHosts } = this.#options.registry.othersOf(endpoint, this)
    this.#session.send({ type: 'shared', endpoint: endpoint.name, others, otherHosts })
  }

  /** @inheritdoc */
  answerRejected(rejected: RejectedAnswer): void {
    if (this.protocol === 'piko' || this.#leaving.signal.aborted) return
    if (!this.#toldRejected.take()) return // the log of the server has all of them
    this.#session.send({ type: 'malformed', ...rejected })
  }

  /** @inheritdoc */
  probe(): void {
    if (!this.#leaving.signal.aborted) this.#probe.start()
  }

  /** @inheritdoc */
  end(why: string): void {
    const { id, identity, remoteAddress } = this
    this.#options.logger.warn(
      { sessionId: id, identity, remoteAddress, why },
      'agent session ended by the server',
    )
    this.abort()
  }

  #onMessage(message: ControlMessage): void {
    switch (message.type) {
      case 'register':
        this.#answerRegister(message)
        break
      case 'health':
        this.#endpoints.setHealth(message.endpoint, message.isUp)
        break
      case 'release':
        this.#endpoints.remove(message.endpoint)
        this.#session.send({ type: 'released', id: message.id })
        break
      case 'drain':
        this.#endLongLivedAfter(message.longLivedMs)
        if (this.#isKept) this.#wantsToGo = true
        else this.#unregisterAll(false)
        break
      default: // messages only a server or a consumer gets: nothing to do with them
    }
  }

  #answerRegister(message: Register): void {
    const { id, endpoint } = message
    const isLeaving = (): boolean => this.#draining || this.#leaving.signal.aborted
    this.#endpoints.ask(message, isLeaving, (verdict) => {
      if ('code' in verdict) {
        this.#session.send({ type: 'refused', id, ...verdict })
        return
      }
      const { rules, lease } = verdict
      // Visitors reach a TCP endpoint by its public port, or by the connect route.
      const named = { tenant: this.tenant, name: endpoint }
      const urls = message.kind === 'tcp' ? [] : this.#options.urls(named)
      const others = this.#options.registry.othersOf(named, this)
      this.#session.send({
        type: 'registered',
        id,
        urls: lease?.url === undefined ? urls : [lease.url, ...urls],
        ...(rules !== undefined && { visitors: true }),
        ...(lease !== undefined && { port: lease.port }),
        ...(message.exclusive && { exclusive: true }),
        ...(message.limits !== undefined &&
          this.#options.registry.onLimits !== undefined && {
            limits: limitNames(Object.keys(message.limits)),
          }),
        ...(others.agents > 0 && { others: others.agents, otherHosts: others.hosts }),
      })
    })
  }

  #endLongLivedAfter(ms = Infinity): void {
    if (this.#longLived !== undefined) return // said already
    this.#longLived = runAfter(ms, () => this.#options.onLongLivedOver(this.#session.mux))
  }

  #logFull(): void {
    const nowMs = performance.now()
    if (nowMs - this.#loggedFullAtMs < FULL_LOG_MS) return
    this.#loggedFullAtMs = nowMs
    const { id: sessionId, identity, remoteAddress, openStreams } = this
    this.#options.logger.warn(
      { sessionId, identity, remoteAddress, openStreams, hint: FULL_HINT },
      'agent session has as many streams as it may',
    )
  }

  /** @param isLost - whether the agent is expected back. */
  #unregisterAll(isLost: boolean): void {
    this.#leaving.abort()
    this.#endpoints.removeAll(isLost)
  }
}
