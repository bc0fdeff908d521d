import { ResponseHeadReader } from '@proj/http1'
import type { Channel, ChannelSink } from '@proj/mux'
import { RESET_REASONS, type Upstream } from '@proj/tunnel'

import type { Deadlines, Expiring } from './deadlines.ts'

/** A stream to an agent that carries one request after another. */
export interface CarrierStream {
  readonly upstream: Upstream
  readonly channel: Channel
  /** Reads the answers on this stream. */
  readonly reader: ResponseHeadReader
  /** Whether it carried a request before: then its end may only mean that the service hung up idle. */
  reused: boolean
}

/** Limits of the pool, as in EdgeOptions. */
export interface StreamPoolOptions {
  /** Idle streams kept per agent session and endpoint. */
  readonly maxIdleStreams: number
  /** How long an idle stream is kept, ms. */
  readonly idleStreamTimeoutMs: number
  /** Largest head of an answer, bytes. */
  readonly maxHeadBytes: number
}

/**
 * A stream whose window has grown beyond this is not kept: what was granted cannot be taken back,
 * and an idle stream would hold a share of the session's memory that others could use.
 */
const MAX_IDLE_WINDOW_BYTES = 1024 * 1024

/**
 * Idle streams, by agent session and endpoint. Each one stands for a kept-alive connection between
 * the agent and the service: while a stream is idle here, that connection is idle there, and when
 * the service hangs up, the stream ends and leaves the pool.
 */
export class StreamPool {
  readonly #options: StreamPoolOptions
  readonly #deadlines: Deadlines
  readonly #idle = new Map<Upstream, Map<string, IdleStream[]>>()

  constructor(options: StreamPoolOptions, deadlines: Deadlines) {
    this.#options = options
    this.#deadlines = deadlines
  }

  /** Takes the stream that was used last, which is the least likely to be hung up. */
  take(upstream: Upstream, endpoint: string): CarrierStream | undefined {
    const idle = this.#idle.get(upstream)?.get(endpoint)?.pop()
    if (idle === undefined) return undefined
    this.#deadlines.delete(idle)
    return idle.stream
  }

  /**
   * Opens a new stream.
   *
   * @param requestId - of the first request, told to the agent
   *
   * @throws {MuxError} when the session takes none.
   */
  open(upstream: Upstream, endpoint: string, requestId: string, sink: ChannelSink): CarrierStream {
    return {
      upstream,
      channel: upstream.openStream({ kind: 'http', endpoint, requestId }, sink),
      reader: new ResponseHeadReader({ maxHeadBytes: this.#options.maxHeadBytes }),
      reused: false,
    }
  }

  /** Takes back a stream whose last answer is complete. */
  put(endpoint: string, stream: CarrierStream): void {
    const { upstream, channel } = stream
    if (channel.closed || channel.readableEnded) return
    let endpoints = this.#idle.get(upstream)
    const isTooLarge = channel.receiveWindowBytes > MAX_IDLE_WINDOW_BYTES
    if (upstream.leaving.aborted || this.#options.maxIdleStreams === 0 || isTooLarge) {
      channel.end()
      return
    }
    if (endpoints === undefined) {
      endpoints = new Map()
      this.#idle.set(upstream, endpoints)
      upstream.leaving.addEventListener('abort', () => this.#dismiss(upstream), { once: true })
    }
    let list = endpoints.get(endpoint)
    if (list === undefined) {
      list = []
      endpoints.set(endpoint, list)
    }
    if (list.length >= this.#options.maxIdleStreams) {
      channel.end()
      return
    }
    stream.reused = true
    const idle = new IdleStream(
      stream,
      list,
      this.#deadlines,
      this.#deadlines.now + this.#options.idleStreamTimeoutMs,
    )
    list.push(idle)
    this.#deadlines.add(idle)
    channel.attach(idle)
  }

  /** Ends every idle stream. */
  close(): void {
    for (const upstream of this.#idle.keys()) this.#dismiss(upstream)
  }

  #dismiss(upstream: Upstream): void {
    for (const list of this.#idle.get(upstream)?.values() ?? []) {
      for (const idle of list.splice(0)) {
        this.#deadlines.delete(idle)
        idle.stream.channel.end()
      }
    }
    this.#idle.delete(upstream)
  }
}

/** A stream while nobody uses it. */
class IdleStream implements ChannelSink, Expiring {
  readonly stream: CarrierStream
  readonly deadline: number
  readonly #list: IdleStream[]
  readonly #deadlines: Deadlines

  constructor(stream: CarrierStream, list: IdleStream[], deadlines: Deadlines, deadline: number) {
    this.stream = stream
    this.#list = list
    this.#deadlines = deadlines
    this.deadline = deadline
  }

  expire(): void {
    this.#leave()
    this.stream.channel.end()
  }

  onData(): void {
    // An answer nobody asked for would become the answer to the next request.
    this.#leave()
    this.stream.channel.reset(RESET_REASONS.protocolError)
  }

  onEnd(): void {
    this.#leave()
    this.stream.channel.end()
  }

  onDrain(): void {}

  onClose(): void {
    this.#leave()
  }

  #leave(): void {
    this.#deadlines.delete(this)
    const at = this.#list.indexOf(this)
    if (at >= 0) this.#list.splice(at, 1)
  }
}
