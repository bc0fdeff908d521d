import { type Channel, type ChannelSink, isMuxError, Session } from '@proj/mux'

import type { Grant } from './authorization.ts'
import { ControlChannel } from './control-channel.ts'
import type { ControlMessage } from './control-message.ts'
import { checkEndpointName } from './endpoint-name.ts'
import { isTunnelError } from './errors.ts'
import type { Logger } from './logger.ts'
import { RecordSink } from './record-sink.ts'
import { RESET_REASONS } from './reset-reason.ts'
import { encodeStreamRecord, type StreamRecord } from './stream-record.ts'
import type { Upstream, UpstreamRegistry } from './upstream-registry.ts'
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
  readonly logger: Logger
}

/** Ends a session whose agent should come back: hashicorp's "internal error", see docs/protocol.md. */
const GO_AWAY_COME_BACK = 2
const GO_AWAY_PROTOCOL_ERROR = 1

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
  #control: ControlChannel | undefined
  readonly #leaving = new AbortController()
  #greeted = false

  /** Takes the pipe over. */
  constructor(pipe: WebSocketPipe, options: UpstreamSessionOptions) {
    this.#options = options
    this.id = options.id
    this.peer = options.id
    this.protocol = options.protocol
    this.remoteAddress = options.remoteAddress
    this.#session = new Session(pipe, {
      role: 'server',
      onChannel: (channel) => this.#onChannel(channel),
    })
    // The agent says it is leaving: route nothing to it from now on, let its open streams finish.
    this.#session.on('goaway', () => this.#unregisterAll())
    void this.#session.closed.then(({ error }) => {
      this.#unregisterAll()
      options.logger.info(
        { sessionId: this.id, code: isMuxError(error) ? error.code : undefined },
        'agent session ended',
      )
    })
    if (options.protocol === 'piko') this.#register(options.endpoint)
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
    const channel = this.#session.openChannel(sink)
    if (this.protocol === 'adit') channel.write(encodeStreamRecord(record))
    return channel
  }

  /**
   * Lets the agent move: no new streams, the open ones finish, then GoAway 2 and the end. An agent
   * of ours is told first, so that it can connect elsewhere before this session is gone.
   *
   * @param options.signal - ends the patience: what still runs then is cut.
   */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#unregisterAll()
    this.#control?.send({ type: 'drain', retryAfterMs: this.#options.drainRetryAfterMs })
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
    if (this.protocol === 'piko' || this.#control !== undefined) {
      // An agent opens no streams but its control stream.
      channel.reset(RESET_REASONS.protocolError)
      return
    }
    void new RecordSink(channel, (_, record) => {
      if (record.kind !== 'control' || this.#control !== undefined) {
        channel.reset(RESET_REASONS.protocolError)
        return undefined
      }
      this.#control = new ControlChannel(channel, {
        onMessage: (message) => this.#onMessage(message),
        onViolation: (error) => {
          this.#options.logger.warn(
            { sessionId: this.id, code: error.code },
            'agent broke protocol',
          )
          this.#session.abort(GO_AWAY_PROTOCOL_ERROR)
        },
        onClose: () => this.#unregisterAll(),
      })
      return this.#control
    })
  }

  #onMessage(message: ControlMessage): void {
    if (!this.#greeted && message.type !== 'hello') {
      this.#session.abort(GO_AWAY_PROTOCOL_ERROR)
      return
    }
    switch (message.type) {
      case 'hello':
        this.#greeted = true
        this.peer = message.peer
        this.#control?.send({
          type: 'hello',
          software: this.#options.software,
          peer: this.#options.node,
        })
        break
      case 'register':
        this.#answerRegister(message.id, message.endpoint)
        break
      case 'release':
        this.#endpoints.delete(message.endpoint)
        this.#options.registry.remove(message.endpoint, this)
        this.#control?.send({ type: 'released', id: message.id })
        break
      case 'drain':
        this.#unregisterAll()
        break
      default: // messages only a server sends: nothing to do with them
    }
  }

  #answerRegister(id: number, endpoint: string): void {
    const refusal = this.#refusal(endpoint)
    if (refusal !== undefined) {
      this.#options.logger.warn(
        { sessionId: this.id, endpoint, code: refusal.code },
        'endpoint refused',
      )
      this.#control?.send({ type: 'refused', id, ...refusal })
      return
    }
    this.#register(endpoint)
    this.#control?.send({ type: 'registered', id, urls: this.#options.urls(endpoint) })
  }

  #refusal(endpoint: string): { code: string; message: string; retryAfterMs?: number } | undefined {
    const { grant, maxEndpoints, drainRetryAfterMs } = this.#options
    if (this.#leaving.signal.aborted) {
      return {
        code: 'draining',
        message: 'this server is shutting down',
        retryAfterMs: drainRetryAfterMs,
      }
    }
    try {
      checkEndpointName(endpoint)
    } catch (error) {
      if (!isTunnelError(error)) throw error
      return { code: 'endpoint-invalid', message: error.message }
    }
    if (!grant.permits('listen', endpoint)) {
      return { code: 'not-permitted', message: 'endpoint not permitted' }
    }
    if (this.#endpoints.size >= maxEndpoints && !this.#endpoints.has(endpoint)) {
      return {
        code: 'limit-reached',
        message: `a session may register ${maxEndpoints} endpoints`,
      }
    }
    return undefined
  }

  #register(endpoint: string): void {
    this.#endpoints.add(endpoint)
    this.#options.registry.add(endpoint, this)
    this.#options.logger.info(
      { sessionId: this.id, endpoint, peer: this.peer, remoteAddress: this.remoteAddress },
      'endpoint registered',
    )
  }

  #unregisterAll(): void {
    this.#leaving.abort()
    for (const endpoint of this.#endpoints) this.#options.registry.remove(endpoint, this)
    this.#endpoints.clear()
  }
}
