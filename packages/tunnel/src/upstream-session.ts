import { type Channel, type ChannelSink, isMuxError, Session, type WindowBudget } from '@proj/mux'

import type { Grant } from './grant.ts'
import { onAborted } from './abortable.ts'
import { ControlChannel, type ControlHandlers } from './control-channel.ts'
import type { ControlMessage } from './control-message.ts'
import { endpointKey } from './endpoint-key.ts'
import type { Logger } from './logger.ts'
import { RecordSink } from './record-sink.ts'
import { judgeRegistration, type Register } from './judge-registration.ts'
import { RESET_REASONS } from './reset-reason.ts'
import { encodeStreamRecord, type StreamRecord } from './stream-record.ts'
import type { Upstream, UpstreamRegistry } from './upstream-registry.ts'
import type { ReadVisitorRules, VisitorRules } from './visitor-rules.ts'
import type { WebSocketPipe } from './websocket-pipe.ts'

/** What the server knows of a session when its handshake is done. */
export interface UpstreamSessionOptions {
  /** Names the session in logs. */
  readonly id: string
  /** Wire agreed in the handshake. */
  readonly protocol: 'piko' | 'adit'
  /** Endpoint of the route; registered at once on the baseline wire, by message on ours. */
  readonly endpoint: string
  /** What the peer may do. */
  readonly grant: Grant
  /** Memory that windows of all sessions may grow by together. */
  readonly windowBudget: WindowBudget
  /** Peer's address. */
  readonly remoteAddress: string | undefined
  /** Where endpoints are registered. */
  readonly registry: UpstreamRegistry
  /** URLs visitors can use, told to agents of ours when they register. */
  readonly urls: (endpoint: string) => readonly string[]
  /** Names this server to its agents. */
  readonly node: string
  /** Program and version. */
  readonly software: string
  /** Endpoints one session may register. */
  readonly maxEndpoints: number
  /** Delay agents are advised to keep when told to leave, ms. */
  readonly drainRetryAfterMs: number
  /** Time an agent of ours has for its greeting, ms. */
  readonly helloTimeoutMs: number
  /** Understands rules for visitors; undefined when nobody enforces them. */
  readonly readVisitorRules: ReadVisitorRules | undefined
  /** Per session: info for its begin and end, warn for what it did wrong. */
  readonly logger: Logger
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
  readonly #endpoints = new Set<string>()
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
    this.#session = new Session(pipe, {
      onProcessed: (isFree) => pipe.processed(isFree),
      windowBudget: options.windowBudget,
      role: 'server',
      maxInboundStreams: protocol === 'adit' ? MAX_INBOUND_STREAMS : 0,
      onChannel: (channel) => this.#onChannel(channel),
    })
    // The agent says it is leaving: route nothing to it from now on, let its open streams finish.
    this.#session.on('goaway', () => this.#unregisterAll())
    void this.#session.closed.then(({ error }) => {
      this.#control?.stop()
      this.#unregisterAll()
      const code = isMuxError(error) ? error.code : undefined
      logger.info({ sessionId: id, code }, 'agent session ended')
    })
    onAborted(options.grant.ended, this.#session.closed, (reason) => {
      logger.info(
        { sessionId: id, identity: this.identity, why: reason },
        'right of an agent ended',
      )
      this.abort()
    })
    if (protocol === 'piko') this.#register(options.endpoint)
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

  /** Endpoints registered now. */
  get endpoints(): ReadonlySet<string> {
    return this.#endpoints
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
        this.#endpoints.delete(message.endpoint)
        this.#options.registry.remove(this.#key(message.endpoint), this)
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
    const { registry, urls, ...limits } = this.#options
    const verdict = judgeRegistration(message, {
      ...limits,
      isLeaving: this.#draining || this.#leaving.signal.aborted,
      endpoints: this.#endpoints,
      demanded: registry.rules(this.#key(endpoint)) ?? [],
    })
    if ('code' in verdict) {
      this.#options.logger.warn(
        { sessionId: this.id, endpoint, code: verdict.code },
        'endpoint refused',
      )
      this.#control?.send({ type: 'refused', id, ...verdict })
      return
    }
    const { rules } = verdict
    this.#register(endpoint, rules)
    const inForce = rules === undefined ? {} : ({ visitors: true } as const)
    this.#control?.send({ type: 'registered', id, urls: urls(endpoint), ...inForce })
  }

  #register(endpoint: string, rules?: VisitorRules): void {
    this.#endpoints.add(endpoint)
    this.#options.registry.add(this.#key(endpoint), this, rules)
    this.#options.logger.info(
      { sessionId: this.id, endpoint, peer: this.peer, remoteAddress: this.remoteAddress },
      'endpoint registered',
    )
  }

  #unregisterAll(): void {
    this.#leaving.abort()
    for (const endpoint of this.#endpoints) this.#options.registry.remove(this.#key(endpoint), this)
    this.#endpoints.clear()
  }

  #key(endpoint: string): string {
    return endpointKey(this.#options.grant.tenant, endpoint)
  }
}
