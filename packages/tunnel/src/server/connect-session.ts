import { type Channel, type ChannelSink, Session, type WindowBudget } from '@proj/mux'

import { abortable, onAborted } from '../abortable.ts'
import type { Grant } from './grant.ts'
import { ChannelSplice } from '../io/channel-splice.ts'
import { ControlChannel } from '../protocol/control-channel.ts'
import type { ControlMessage } from '../protocol/control-message.ts'
import type { Logger } from '../logger.ts'
import { OutcomeWatch } from '../protocol/stream-outcome.ts'
import { RecordSink } from '../protocol/record-sink.ts'
import { endpointKey } from '../protocol/endpoint-key.ts'
import { endRight } from '../protocol/right-ended.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import { type ConnectRequest, connectRecord } from './connect-request.ts'
import { openUpstream } from './open-upstream.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import type { UpstreamRegistry } from './upstream-registry.ts'
import type { WebSocketPipe } from '../websocket/pipe.ts'

/** What a session shares with its acceptor. */
export interface ConnectSessionOptions {
  /** Where upstreams are found. */
  readonly registry: UpstreamRegistry
  /** Names this server. */
  readonly node: string
  /** Program and version. */
  readonly software: string
  /** Memory that windows of all sessions may grow by together. */
  readonly windowBudget: WindowBudget
  /** Time the consumer has for its greeting, ms. */
  readonly helloTimeoutMs: number
  /** Per session: info for its begin and end, warn for what it did wrong. */
  readonly logger: Logger
}

const GO_AWAY_NORMAL = 0
const GO_AWAY_PROTOCOL_ERROR = 1

/** The server's side of one consumer session (`adit access`, the SDK's `dial`). */
export class ConnectSession {
  readonly #session: Session
  readonly #grant: Grant
  readonly #request: ConnectRequest
  readonly #options: ConnectSessionOptions
  readonly #control: ControlChannel
  /** The consumer's ends of what it has connected. */
  readonly #open = new Set<Channel>()

  /** Takes the pipe over. */
  constructor(
    pipe: WebSocketPipe,
    grant: Grant,
    request: ConnectRequest,
    options: ConnectSessionOptions,
  ) {
    this.#grant = grant
    this.#request = request
    this.#options = options
    this.#session = new Session(pipe, {
      onProcessed: (answer) => pipe.processed(answer),
      windowBudget: options.windowBudget,
      role: 'server',
      onChannel: (inbound) => {
        void new RecordSink(inbound, (channel, record) => this.#onStream(channel, record))
      },
    })
    this.#control = new ControlChannel(
      {
        onHello: () => {},
        onMessage: (message) => this.#onMessage(message),
        onViolation: ({ code }) => {
          const { remoteAddress } = request
          options.logger.warn({ remoteAddress, code }, 'consumer broke protocol')
          this.#session.abort(GO_AWAY_PROTOCOL_ERROR)
        },
        onClose: () => {},
      },
      options.helloTimeoutMs,
    )
    void this.#session.closed.then(() => this.#control.stop())
    onAborted(grant.ended, this.#session.closed, (reason) => {
      const { remoteAddress } = request
      const fields = { identity: grant.identity, remoteAddress, why: reason }
      options.logger.info(fields, 'right of a consumer ended')
      for (const channel of this.#open) channel.reset(RESET_REASONS.notPermitted)
      void endRight(this.#session, this.#control, reason, GO_AWAY_NORMAL)
    })
  }

  /** Resolves when the session is over; never rejects. */
  get closed(): Promise<unknown> {
    return this.#session.closed
  }

  /** Asks the consumer to go elsewhere; its open streams finish until `signal` aborts. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#control.send({ type: 'drain', retryAfterMs: 0 })
    this.#control.end()
    try {
      await abortable(this.#control.closed, signal)
      await this.#session.close({ signal })
    } catch {
      this.abort()
    }
    await this.#session.closed
  }

  /** Ends the session now. */
  abort(): void {
    this.#session.abort(GO_AWAY_NORMAL)
  }

  #onStream(channel: Channel, record: StreamRecord): ChannelSink | undefined {
    if (record.kind === 'control' && !this.#control.isOpen) {
      const { software, node } = this.#options
      this.#control.open(channel, { software, peer: node })
      return this.#control
    }
    const { endpoint } = record
    if (record.kind !== 'tcp') {
      channel.reset(RESET_REASONS.protocolError)
      return undefined
    }
    const isOver = this.#grant.ended?.aborted === true
    if (isOver || !this.#grant.permits('connect', endpoint)) {
      channel.reset(RESET_REASONS.notPermitted)
      return undefined
    }
    const { registry } = this.#options
    const key = endpointKey(this.#grant.tenant, endpoint)
    const rules = registry.rules(key)
    const { remoteAddress } = this.#request
    if (rules?.some((one) => !one.admitsConnection(remoteAddress)) === true) {
      channel.reset(RESET_REASONS.notPermitted)
      return undefined
    }
    // The consumer's own word on who connected is not taken over: the record names its address.
    const outbound = connectRecord(endpoint, this.#request)
    const upstream = openUpstream(registry, this.#grant.tenant, outbound)
    if (typeof upstream === 'string') {
      channel.reset(RESET_REASONS[upstream === 'full' ? 'limitReached' : 'noUpstream'])
      return undefined
    }
    const watch = new OutcomeWatch((outcome) => registry.report(key, outcome))
    this.#open.add(channel)
    const splice = new ChannelSplice(channel, upstream, watch, () => {
      this.#open.delete(channel)
      const { requestId } = outbound
      const bytes = { in: splice.bytesForward, out: splice.bytesBack }
      this.#options.logger.debug({ endpoint, requestId, ...bytes }, 'stream closed')
    })
    return splice.first
  }

  #onMessage(message: ControlMessage): void {
    if (message.type !== 'query') return
    const { id, endpoint } = message
    const permitted = this.#grant.permits('connect', endpoint)
    const key = endpointKey(this.#grant.tenant, endpoint)
    const { registry } = this.#options
    if (!permitted) {
      this.#control.send({ type: 'endpoint', id, endpoint, upstreams: 0, permitted })
      return
    }
    this.#control.send({
      type: 'endpoint',
      id,
      endpoint,
      upstreams: registry.count(key),
      agents: registry.agents(key),
      ...registry.lastOutcome(key),
    })
  }
}
