import type { Channel, ChannelSink, WindowBudget } from '@proj/mux'

import { onAborted } from '../abortable.ts'
import type { Grant } from './authorization.ts'
import type { ControlMessage } from '../protocol/control-message.ts'
import type { Logger } from '../logger.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import { WaitingSink } from '../io/waiting-sink.ts'
import { RESET_REASONS, type ResetReason } from '../protocol/reset-reason.ts'
import {
  type ConnectionRejection,
  openConnection,
  tellRejected,
  type TcpConnection,
  type TcpVisitor,
} from './open-connection.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import { GO_AWAY, TunnelSession } from '../protocol/tunnel-session.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import type { WebSocketPipe } from '../websocket/pipe.ts'

/** A consumer that is connected: `adit access`, or a program that dials. */
export interface ConsumerStatus {
  /** Who authorised itself as what. */
  readonly identity: string
  /** Absent when its connection is gone already. */
  readonly remoteAddress?: string
  /** Program and version, as it says; absent before. */
  readonly software?: string
  /** When its session began, ms since the epoch. */
  readonly since: number
  /** Its connections to endpoints that are open now. */
  readonly connections: number
}

/** What a session shares with its acceptor. */
export interface ConsumerSessionOptions {
  /** Where upstreams are found. */
  readonly registry: UpstreamRegistry
  /** Name of this server, sent to the peer. */
  readonly node: string
  /** Program and version, sent to the peer. */
  readonly software: string
  /** Memory that windows of all sessions may grow by together. */
  readonly windowBudget: WindowBudget
  /** Time the consumer has for its greeting, ms. */
  readonly helloTimeoutMs: number
  /** Per session: info for its begin and end, warn for what it did wrong. */
  readonly logger: Logger
}

/**
 * The server's end of a consumer's session: connects each stream to the upstream whose turn it is, and
 * answers queries. The consumer's end is `DialSession`.
 */
export class ConsumerSession {
  readonly #session: TunnelSession
  readonly #grant: Grant
  readonly #visitor: TcpVisitor
  readonly #options: ConsumerSessionOptions
  readonly #since = Date.now()
  #software: string | undefined
  /** The consumer's ends of what it has connected. */
  readonly #open = new Set<Channel>()

  /** Takes the pipe over. */
  constructor(
    pipe: WebSocketPipe,
    grant: Grant,
    visitor: TcpVisitor,
    options: ConsumerSessionOptions,
  ) {
    this.#grant = grant
    this.#visitor = visitor
    this.#options = options
    this.#session = new TunnelSession(
      pipe,
      {
        role: 'server',
        protocol: 'adit',
        hello: { software: options.software, peer: options.node },
        helloTimeoutMs: options.helloTimeoutMs,
        windowBudget: options.windowBudget,
        abortCode: GO_AWAY.normal,
      },
      {
        onStream: (channel, record) => this.#onStream(channel, record),
        onMessage: (message) => this.#onMessage(message),
        onViolation: ({ code }) => {
          const { remoteAddress } = visitor
          options.logger.warn({ remoteAddress, code }, 'consumer broke protocol')
        },
        onHello: ({ software }) => (this.#software = software),
        onLeaving: () => {},
        onClose: () => {},
      },
    )
    onAborted(grant.ended, this.#session.closed, (reason) => {
      const { remoteAddress } = visitor
      const fields = { identity: grant.identity, remoteAddress, why: reason }
      options.logger.info(fields, 'right of a consumer ended')
      this.resetStreams('notPermitted')
      void this.#session.endRight(reason)
    })
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /** Asks the consumer to go elsewhere; its open streams finish until `signal` aborts. */
  async drain(signal: AbortSignal): Promise<void> {
    const message = { type: 'drain', retryAfterMs: 0 } as const
    await this.#session.end({ message, peerWaitMs: Infinity, signal })
  }

  /** What is shown of it. */
  get status(): ConsumerStatus {
    const { remoteAddress } = this.#visitor
    return {
      identity: this.#grant.identity,
      ...(remoteAddress !== undefined && { remoteAddress }),
      ...(this.#software !== undefined && { software: this.#software }),
      since: this.#since,
      connections: this.#open.size,
    }
  }

  /** Connections that are open now. */
  get streams(): number {
    return this.#open.size
  }

  /** Resets what the consumer has connected. */
  resetStreams(reason: ResetReason): void {
    for (const channel of this.#open) channel.reset(RESET_REASONS[reason])
  }

  /** Ends the session now. */
  abort(): void {
    this.#session.abort()
  }

  #onStream(channel: Channel, record: StreamRecord | undefined): ChannelSink | undefined {
    if (record?.kind !== 'tcp') {
      channel.reset(RESET_REASONS.protocolError)
      return undefined
    }
    const { endpoint } = record
    const isOver = this.#grant.ended?.aborted === true
    if (isOver || !this.#grant.permits('connect', endpoint)) {
      const { registry } = this.#options
      tellRejected(registry, this.#endpoint(endpoint), this.#visitor, 'notPermitted')
      channel.reset(RESET_REASONS.notPermitted)
      return undefined
    }
    const { registry, logger } = this.#options
    // What the consumer's own record says of who connected is not believed: ours names the consumer.
    const gone = new AbortController()
    const named = this.#endpoint(endpoint)
    const visitor = { ...this.#visitor, held: this.#open.size }
    // An access waits for its server, and for the agent as well, also for one that was never here.
    const connection = openConnection(registry, named, visitor, logger, gone.signal, true)
    if (!(connection instanceof Promise)) return this.#join(channel, connection)
    const waiting = new WaitingSink(() => {
      this.#open.delete(channel)
      gone.abort()
    })
    this.#open.add(channel)
    channel.attach(waiting)
    void connection.then((late) => {
      if (channel.closed) {
        if (typeof late !== 'string') late.abandon()
        return
      }
      const sink = this.#join(channel, late)
      if (sink !== undefined) waiting.deliver(sink)
    })
    return waiting
  }

  #join(
    channel: Channel,
    connection: TcpConnection | ConnectionRejection,
  ): ChannelSink | undefined {
    if (typeof connection === 'string') {
      channel.reset(RESET_REASONS[connection])
      return undefined
    }
    this.#open.add(channel)
    return connection.toChannel(channel, () => this.#open.delete(channel)).first
  }

  #onMessage(message: ControlMessage): void {
    if (message.type !== 'query') return
    const { id, endpoint } = message
    const permitted = this.#grant.permits('connect', endpoint)
    if (!permitted) {
      this.#session.send({ type: 'endpoint', id, endpoint, upstreams: 0, permitted })
      return
    }
    const asked = this.#endpoint(endpoint)
    const { registry } = this.#options
    this.#session.send({
      type: 'endpoint',
      id,
      endpoint,
      upstreams: registry.count(asked),
      agents: registry.agents(asked),
      ...registry.lastOutcome(asked),
    })
  }

  #endpoint(name: string): Endpoint {
    return { tenant: this.#grant.tenant, name }
  }
}
