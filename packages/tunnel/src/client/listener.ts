import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'

import type { Channel, ChannelSink } from '@proj/mux'

import { abortable } from '../abortable.ts'
import { TunnelError } from '../errors.ts'
import type { AnswerStrictness } from '../protocol/answer-strictness.ts'
import type { OtherAgents, RejectedAnswer } from '../protocol/control-message.ts'
import { checkLimits, type EndpointLimits, type LimitName } from '../protocol/endpoint-limits.ts'
import { isWeight, WEIGHTS } from '../protocol/weight.ts'
import type { StreamReuse } from '../protocol/stream-reuse.ts'
import { RESET_REASONS } from '../protocol/reset-reason.ts'
import type { StreamRecord } from '../protocol/stream-record.ts'
import { connectionsOf, type Service } from './service.ts'
import { nameVisitor } from './visitor-of-stream.ts'

/** Events of a listener. */
export interface ListenerEvents {
  /**
   * A visitor's connection (tcp) or a kept-alive connection for requests (http). The record is absent on
   * sessions with a Piko server. `remoteAddress` of the stream is that of the visitor, where it is known.
   */
  connection: [stream: Duplex, record: StreamRecord | undefined]
  /** The server registered the endpoint: visitors arrive from now on. */
  online: [urls: readonly string[]]
  /** A session serves the endpoint, at one of the servers: the first, a further one, or one in place of another. */
  registered: [urls: readonly string[]]
  /** No session serves the endpoint now; the agent is reconnecting. */
  offline: []
  /** The number of other agents that serve the endpoint changed; each agent gets a share of the visitors. */
  shared: [others: OtherAgents]
  /** The server has rejected an answer of the service; of many it tells ten, then one each second. */
  malformed: [rejected: RejectedAnswer]
  /** A server does not apply limits that were asked for: it is Piko's, or an earlier one. Once for a listener. */
  limitsIgnored: [names: readonly LimitName[]]
}

/** A session that serves an endpoint, as far as its listener speaks to it. */
export interface ServingSession {
  /** Tells the server whether visitors are to come here, while there are other agents. */
  tellHealth(endpoint: string, isUp: boolean): void
}

const NO_OTHERS: OtherAgents = { agents: 0, hosts: 0 }

/**
 * Takes an inbound channel.
 *
 * @returns the sink that was attached to it, or undefined when the channel was reset.
 */
export type AcceptChannel = (
  channel: Channel,
  record: StreamRecord | undefined,
) => ChannelSink | undefined

/** How an endpoint is to be listened on. */
export interface ListenOptions {
  /** What its streams carry: HTTP requests from the server's edge, or raw connections. Default `http`. */
  readonly kind?: 'http' | 'tcp'
  /**
   * Rules for visitors, in the form the server knows: JSON of at most 12 288 bytes, without secrets. The
   * server enforces them; where it does not know how, the endpoint is not served. Default: none.
   */
  readonly visitors?: object
  /**
   * TCP port of the server that visitors shall find a `tcp` endpoint on, 1 to 65535, or 0 for any; a server
   * that gives none does not get the endpoint. Default: none.
   */
  readonly publicPort?: number
  /**
   * Serve the endpoint alone: the server rejects this agent while another one serves it, and others
   * while this one does. An agent that has not served it yet asks once more, after the time in which the server
   * notices that the other one is gone, and then ends the listener with TUNNEL_NAME_IN_USE; one that has
   * served it waits. A server that does not know of that does not get the endpoint. Default: false,
   * agents of one identity share a name.
   */
  readonly exclusive?: boolean
  /**
   * When a stream of an `http` endpoint, and with it the service's connection, carries another request.
   * `never`: a stream for each request. `safe`: after a request without a body, for another visitor after a look
   * for bytes beyond the answer; after a body for the same visitor alone. `always`: also where a late second
   * answer of the service would reach another visitor. Of several sessions the strictest value holds; a server
   * of Piko, or one that does not know of it, does as it is set. Default: as the server is set (`proxy.reuse`).
   */
  readonly reuse?: StreamReuse
  /**
   * How answers of an `http` service are read that break the grammar of HTTP/1.1. `lenient`: those that have one
   * reading are repaired, and the service's connection carries no other request. `strict`: each is rejected with
   * 502. One session that asks for `strict` is enough. Default: `lenient`.
   */
  readonly strictness?: AnswerStrictness
  /**
   * How often this agent is chosen, compared to others of the endpoint: 1 to 10 000. With 5 beside one of 95 it gets
   * one of twenty. Default: 100.
   */
  readonly weight?: number
  /**
   * What the visitors of the endpoint may do, in all sessions together. The server applies the strictest of what it
   * is set to and what its sessions ask for. One that does not know of a limit serves the endpoint without it; see
   * `limitsIgnored`. Default: none.
   */
  readonly limits?: EndpointLimits
}

/** An endpoint this agent serves. Made by `Agent.listen` and `Agent.forward`. */
export class Listener extends EventEmitter<ListenerEvents> {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** What its streams carry. */
  readonly kind: 'http' | 'tcp'
  /** Rules for visitors; a server that does not enforce them does not get the endpoint. */
  readonly visitors: object | undefined
  /** Public port to ask for, 0 for any; a server that gives none does not get the endpoint. */
  readonly publicPort: number | undefined
  /** Whether no other agent may serve the endpoint. */
  readonly exclusive: boolean
  /** When its streams carry another request; undefined: as the server is set. */
  readonly reuse: StreamReuse | undefined
  /** How answers of its service are read; undefined: `lenient`. */
  readonly strictness: AnswerStrictness | undefined
  /** How often this agent is chosen, compared to others; undefined: 100. */
  readonly weight: number | undefined
  /** What visitors may do; undefined: as the server is set. */
  readonly limits: EndpointLimits | undefined
  /** Resolves, never rejects, when the listener has ended; with an error if that was not asked for. */
  readonly closed: Promise<{ readonly error?: Error }>

  /** @internal */
  readonly accept: AcceptChannel
  /** @internal Resets what has no end of its own, with `draining`; only `forward` knows what that is. */
  endConnections: () => void = () => {}
  readonly #release: (listener: Listener) => Promise<void>
  /** Sessions that serve the endpoint, with the URLs that their servers gave it. */
  readonly #registrations = new Map<ServingSession, readonly string[]>()
  /** Calls of `ready` that wait. */
  readonly #waiting = new Set<(error?: Error) => void>()
  #urls: readonly string[] = []
  #hasServed = false
  #hasToldLimits = false
  #isUp = true
  #port: number | undefined
  #others: OtherAgents = NO_OTHERS
  #failure: Error | undefined
  #end: (outcome: { error?: Error }) => void = () => {}
  #ended = false

  /** @internal */
  constructor(
    endpoint: string,
    {
      kind = 'http',
      visitors,
      publicPort,
      exclusive = false,
      reuse,
      strictness,
      weight,
      limits,
      accept,
    }: ListenOptions & { readonly accept?: AcceptChannel },
    release: (listener: Listener) => Promise<void>,
  ) {
    super()
    this.endpoint = endpoint
    this.kind = kind
    this.visitors = visitors
    this.publicPort = publicPort
    this.exclusive = exclusive
    this.reuse = reuse
    this.strictness = strictness
    if (weight !== undefined && !isWeight(weight)) {
      throw new RangeError(
        `weight must be an integer from ${WEIGHTS.min} to ${WEIGHTS.max}, got ${String(weight)}`,
      )
    }
    this.weight = weight
    this.limits = limits && checkLimits(limits)
    this.accept = accept ?? ((channel, record) => this.#emitConnection(channel, record))
    this.#release = release
    this.closed = new Promise((resolve) => (this.#end = resolve))
  }

  /** Whether at least one session serves the endpoint now. */
  get online(): boolean {
    return this.#registrations.size > 0 && !this.#ended
  }

  /** Whether a session has served the endpoint since the listener was made. */
  get hasServed(): boolean {
    return this.#hasServed
  }

  /** The error that ended the listener; undefined while it has not ended, and when `close` ended it. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** What `setHealth` was told last. Default: true. */
  get isUp(): boolean {
    return this.#isUp
  }

  /**
   * Tells whether the service can take visitors. While it cannot, the server sends them to other agents; where
   * there is none, `forward` resets their streams with `serviceDown`. The endpoint stays registered. Servers of
   * Piko and older ones of ours do not know of it.
   */
  setHealth(isUp: boolean): void {
    if (this.#isUp === isUp) return
    this.#isUp = isUp
    for (const session of this.#registrations.keys()) session.tellHealth(this.endpoint, isUp)
  }

  /** Public port of the server that the endpoint has, or had last. */
  get port(): number | undefined {
    return this.#port
  }

  /** The other agents that serve the endpoint now; none from a Piko server, which does not tell. */
  get others(): OtherAgents {
    return this.online ? this.#others : NO_OTHERS
  }

  /** URLs for visitors, of every server that it is served at, the public port's first; empty from a Piko server. */
  get urls(): readonly string[] {
    return this.#urls
  }

  /**
   * Waits until the endpoint is served.
   *
   * @throws the error that ended the listener, or `signal.reason`.
   */
  async ready(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    signal?.throwIfAborted()
    if (this.#ended) throw this.#failure ?? endedError()
    if (this.online) return
    let settle: (error?: Error) => void = () => {}
    const settled = new Promise<void>((resolve, reject) => {
      settle = (error) => (error === undefined ? resolve() : reject(error))
    })
    this.#waiting.add(settle)
    try {
      await abortable(settled, signal)
    } finally {
      this.#waiting.delete(settle)
    }
  }

  /**
   * Hands every connection to a service, which needs no port of its own: a server of `node:http` or `node:net`, an app
   * of express, fastify or Hono, a request listener, a fetch handler. `req.ip` is the visitor.
   *
   * @throws {TypeError} for what cannot be served.
   */
  serve(service: Service): this {
    const take = connectionsOf(service)
    this.on('connection', (stream) => take(stream))
    return this
  }

  /** Stops taking visitors; open connections go on. Resolves when the server knows. */
  async close(): Promise<void> {
    if (!this.#finish(undefined)) return
    await this.#release(this)
    this.#end({})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal */
  registered(session: ServingSession, urls: readonly string[], port?: number): void {
    if (this.#ended) return
    this.#hasServed = true
    this.#registrations.set(session, urls)
    if (!this.#isUp) session.tellHealth(this.endpoint, false)
    this.#urls = this.#allUrls()
    this.#port = port
    this.#tell(() => this.emit('registered', urls))
    if (this.#registrations.size > 1) return
    for (const settle of this.#waiting) settle()
    this.#tell(() => this.emit('online', urls))
  }

  /** @internal */
  shared(others: OtherAgents): void {
    const { agents, hosts } = this.#others
    if (this.#ended || (others.agents === agents && others.hosts === hosts)) return
    this.#others = others
    this.#tell(() => this.emit('shared', others))
  }

  /** @internal Compares what the server applies with what it was asked for. */
  limited(applied: readonly LimitName[]): void {
    if (this.#ended || this.#hasToldLimits || this.limits === undefined) return
    const asked = Object.keys(this.limits) as LimitName[] // `checkLimits` leaves no other keys
    const ignored = asked.filter((name) => !applied.includes(name))
    if (ignored.length === 0) return
    this.#hasToldLimits = true
    this.#tell(() => this.emit('limitsIgnored', ignored))
  }

  /** @internal */
  malformed(rejected: RejectedAnswer): void {
    if (!this.#ended) this.#tell(() => this.emit('malformed', rejected))
  }

  /** @internal */
  unregistered(session: ServingSession): void {
    if (!this.#registrations.delete(session)) return
    if (this.#registrations.size > 0) {
      this.#urls = this.#allUrls()
    } else if (!this.#ended) this.#tell(() => this.emit('offline'))
  }

  /** @internal Ends the listener with an error; false when it had ended before. */
  fail(error: Error): boolean {
    if (!this.#finish(error)) return false
    this.#end({ error })
    return true
  }

  /** The last registration first: after a move it is the one that stays. */
  #allUrls(): readonly string[] {
    return [...new Set([...this.#registrations.values()].toReversed().flat())]
  }

  #finish(error: Error | undefined): boolean {
    if (this.#ended) return false
    this.#ended = true
    this.#failure = error
    for (const settle of this.#waiting) settle(error ?? endedError())
    return true
  }

  /** Emits in the next tick: what a user's listener throws must not break the session. */
  #tell(emit: () => void): void {
    process.nextTick(emit)
  }

  #emitConnection(channel: Channel, record: StreamRecord | undefined): ChannelSink {
    const stream = channel.toStream()
    nameVisitor(stream, record)
    // Later, because our caller first delivers the bytes that came with the record; but before the
    // stream can emit an error, which would have no listener yet.
    this.#tell(() => {
      if (this.emit('connection', stream, record)) return
      stream.on('error', () => {})
      stream.reset(RESET_REASONS.serviceRefused)
    })
    return {
      onData(chunk) {
        stream.unshift(chunk)
        channel.consume(chunk.length)
      },
      onEnd() {},
      onDrain() {},
      onClose() {},
    }
  }
}

function endedError(): TunnelError {
  return new TunnelError('TUNNEL_CLOSED', 'the listener was closed')
}
