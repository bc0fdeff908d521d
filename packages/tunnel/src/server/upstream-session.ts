import { type Channel, type ChannelSink, isMuxError, Session, type WindowBudget } from '@proj/mux'

import { onAborted } from '../abortable.ts'
import { ControlChannel, type ControlHandlers } from '../protocol/control-channel.ts'
import type { ControlMessage } from '../protocol/control-message.ts'
import { LivenessProbe } from './liveness-probe.ts'
import { RecordSink } from '../protocol/record-sink.ts'
import type { Register } from './judge-registration.ts'
import { endRight } from '../protocol/right-ended.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import { encodeStreamRecord, type StreamRecord } from '../protocol/stream-record.ts'
import { UpstreamEndpoints, type UpstreamEndpointsOptions } from './upstream-endpoints.ts'
import type { Upstream } from './upstream-registry.ts'
import type { WebSocketPipe } from '../websocket/pipe.ts'

/** What the server knows of a session when its handshake is done. */
export interface UpstreamSessionOptions extends UpstreamEndpointsOptions {
  /** Names the session in logs. */
  readonly id: string
  /** Wire agreed in the handshake. */
  readonly protocol: 'piko' | 'adit'
  /** Endpoint of the route; registered at once on the baseline wire, by message on ours. */
  readonly endpoint: string
  /** Memory that windows of all sessions may grow by together. */
  readonly windowBudget: WindowBudget
  /** Peer's address. */
  readonly remoteAddress: string | undefined
  /** URLs visitors can use, told to agents of ours when they register. */
  readonly urls: (endpoint: string) => readonly string[]
  /** Names this server to its agents. */
  readonly node: string
  /** Program and version. */
  readonly software: string
  /** Silence after which a peer that was asked for a sign of life is given up, ms. */
  readonly probeTimeoutMs: number
  /** Time an agent of ours has for its greeting, ms. */
  readonly helloTimeoutMs: number
}

/** Ends a session whose agent should come back: hashicorp's "internal error", see docs/protocol.md. */
const GO_AWAY_COME_BACK = 2
const GO_AWAY_PROTOCOL_ERROR = 1

/** Streams an agent may open: one, for control, and room for what a later version may add. */
export const MAX_INBOUND_STREAMS = 8

/**
 * The server's side of one agent session: which endpoints it serves, and streams to it.
 *
 * On the baseline wire the session is one endpoint and has no messages. On ours the agent's first
 * stream is the control stream, and every stream to the agent opens with a record.
 */
export class UpstreamSession implements Upstream {
  readonly id: string
  readonly protocol: 'piko' | 'adit'
  readonly remoteAddress: string | undefined
  readonly connectedAt: number = Date.now()
  peer: string

  readonly #session: Session
  readonly #options: UpstreamSessionOptions
  readonly #endpoints: UpstreamEndpoints
  readonly #probe: LivenessProbe
  readonly #control: ControlChannel | undefined
  readonly #leaving = new AbortController()
  #draining = false

  /** Takes the pipe over. */
  constructor(pipe: WebSocketPipe, options: UpstreamSessionOptions) {
    const { id, protocol, logger } = options
    this.#options = options
    this.id = id
    this.peer = id
    this.protocol = protocol
    this.remoteAddress = options.remoteAddress
    this.#endpoints = new UpstreamEndpoints(this, options)
    this.#session = new Session(pipe, {
      onProcessed: (answer) => pipe.processed(answer),
      windowBudget: options.windowBudget,
      role: 'server',
      maxInboundStreams: protocol === 'adit' ? MAX_INBOUND_STREAMS : 0,
      onChannel: (channel) => this.#onChannel(channel),
    })
    this.#probe = new LivenessProbe(this.#session, options.probeTimeoutMs, () => {
      this.end(`it was silent for ${options.probeTimeoutMs} ms when it was asked`)
    })
    // The agent says it is leaving: route nothing to it from now on, let its open streams finish.
    this.#session.on('goaway', () => this.#unregisterAll())
    void this.#session.closed.then(({ error }) => {
      this.#control?.stop()
      this.#probe.stop()
      this.#unregisterAll()
      const code = isMuxError(error) ? error.code : undefined
      logger.info({ sessionId: id, code }, 'agent session ended')
    })
    onAborted(options.grant.ended, this.#session.closed, (reason) => {
      logger.info(
        { sessionId: id, identity: this.identity, why: reason },
        'right of an agent ended',
      )
      this.#unregisterAll()
      if (this.#control === undefined) this.abort()
      else void endRight(this.#session, this.#control, reason, GO_AWAY_COME_BACK)
    })
    if (protocol === 'piko') this.#endpoints.add(options.endpoint)
    else this.#control = new ControlChannel(this.#controlHandlers(), options.helloTimeoutMs)
  }

  /** @inheritdoc */
  get identity(): string {
    return this.#options.grant.identity
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
    return this.#session.openStreams
  }

  /** @inheritdoc */
  get suspect(): boolean {
    return this.#probe.pending
  }

  /** Endpoints registered now. */
  get endpoints(): ReadonlySet<string> {
    return this.#endpoints.names
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /** @inheritdoc */
  openStream(record: StreamRecord, sink?: ChannelSink): Channel {
    const head = this.protocol === 'adit' ? encodeStreamRecord(record) : undefined
    const channel = this.#session.openChannel(sink)
    if (head !== undefined) channel.write(head)
    return channel
  }

  /** @inheritdoc */
  async whenRoom({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#session.whenRoom({ signal })
  }

  /**
   * Asks an agent of ours to connect elsewhere. It goes on being routed to until it says that it has,
   * so that its endpoints are never gone in between. Piko's agents cannot be asked.
   */
  askToMove(): void {
    if (this.#draining) return
    this.#draining = true
    this.#control?.send({ type: 'drain', retryAfterMs: this.#options.drainRetryAfterMs })
  }

  /**
   * Ends the session in good order: no new streams, the open ones finish, then GoAway 2 as the last
   * word, which makes Piko's agents come back.
   *
   * @param options.signal - ends the patience: what still runs then is cut.
   */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.askToMove()
    this.#unregisterAll()
    this.#control?.end()
    try {
      await this.#session.close({ signal, code: GO_AWAY_COME_BACK })
    } catch {
      this.#session.abort(GO_AWAY_COME_BACK)
    }
    await this.#session.closed
  }

  /** Ends the session now, in a way that makes the agent come back. */
  abort(): void {
    this.#unregisterAll()
    this.#session.abort(GO_AWAY_COME_BACK)
  }

  /** @inheritdoc */
  probe(): void {
    if (!this.#leaving.signal.aborted) this.#probe.start()
  }

  /** @inheritdoc */
  end(why: string): void {
    const { id, identity, remoteAddress } = this
    this.#options.logger.warn({ sessionId: id, identity, remoteAddress, why }, 'agent given up')
    this.abort()
  }

  #onChannel(channel: Channel): void {
    void new RecordSink(channel, (_, record) => {
      // An agent opens no streams but its control stream.
      if (record.kind !== 'control' || this.#control === undefined || this.#control.isOpen) {
        channel.reset(RESET_REASONS.protocolError)
        return undefined
      }
      const { software, node } = this.#options
      this.#control.open(channel, { software, peer: node })
      return this.#control
    })
  }

  #controlHandlers(): ControlHandlers {
    return {
      onHello: ({ peer }) => {
        if (peer !== '') this.peer = peer
      },
      onMessage: (message) => this.#onMessage(message),
      onViolation: ({ code, message }) => {
        const { logger } = this.#options
        logger.warn({ sessionId: this.id, code }, `agent broke protocol: ${message}`)
        this.#session.abort(GO_AWAY_PROTOCOL_ERROR)
      },
      onClose: () => this.#unregisterAll(),
    }
  }

  #onMessage(message: ControlMessage): void {
    switch (message.type) {
      case 'register':
        this.#answerRegister(message)
        break
      case 'release':
        this.#endpoints.remove(message.endpoint)
        this.#control?.send({ type: 'released', id: message.id })
        break
      case 'drain':
        this.#unregisterAll()
        break
      default: // messages only a server or a consumer gets: nothing to do with them
    }
  }

  #answerRegister(message: Register): void {
    const { id, endpoint } = message
    const isLeaving = (): boolean => this.#draining || this.#leaving.signal.aborted
    this.#endpoints.ask(message, isLeaving, (verdict) => {
      if ('code' in verdict) {
        this.#control?.send({ type: 'refused', id, ...verdict })
        return
      }
      const { rules, lease } = verdict
      const urls = this.#options.urls(endpoint)
      this.#control?.send({
        type: 'registered',
        id,
        urls: lease?.url === undefined ? urls : [lease.url, ...urls],
        ...(rules !== undefined && { visitors: true }),
        ...(lease !== undefined && { port: lease.port }),
      })
    })
  }

  #unregisterAll(): void {
    this.#leaving.abort()
    this.#endpoints.removeAll()
  }
}
