import type { ChannelSink } from '@proj/mux'
import type { Upstream } from '@proj/tunnel/server'

import { CarrierStream } from './carrier-stream.ts'
import type { Deadlines } from './deadlines.ts'
import { IdleStreams } from './idle-streams.ts'

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
 * Idle streams, by agent session and endpoint. Each one stands for a kept-alive connection between
 * the agent and the service: while a stream is idle here, that connection is idle there, and when
 * the service hangs up, the stream ends and leaves the pool.
 */
export class StreamPool {
  readonly #options: StreamPoolOptions
  readonly #deadlines: Deadlines
  readonly #homes = new Map<Upstream, Map<string, IdleStreams>>()

  constructor(options: StreamPoolOptions, deadlines: Deadlines) {
    this.#options = options
    this.#deadlines = deadlines
  }

  /** Takes an idle stream; it goes back by `put` of its `home`. */
  take(upstream: Upstream, endpoint: string): CarrierStream | undefined {
    return this.#homes.get(upstream)?.get(endpoint)?.take()
  }

  /**
   * Opens a new stream.
   *
   * @param requestId - of the first request, told to the agent
   *
   * @throws {MuxError} when the session takes none.
   */
  open(upstream: Upstream, endpoint: string, requestId: string, sink: ChannelSink): CarrierStream {
    const channel = upstream.openStream({ kind: 'http', endpoint, requestId }, sink)
    const home = this.#homeOf(upstream, endpoint)
    return new CarrierStream(upstream, channel, home, this.#deadlines, this.#options.maxHeadBytes)
  }

  /** Ends every idle stream. */
  close(): void {
    for (const upstream of this.#homes.keys()) this.#dismiss(upstream)
  }

  #homeOf(upstream: Upstream, endpoint: string): IdleStreams {
    const { maxIdleStreams, idleStreamTimeoutMs } = this.#options
    // Who is leaving gets no more requests.
    if (upstream.leaving.aborted) return new IdleStreams(0, idleStreamTimeoutMs)
    let homes = this.#homes.get(upstream)
    if (homes === undefined) {
      homes = new Map()
      this.#homes.set(upstream, homes)
      upstream.leaving.addEventListener('abort', () => this.#dismiss(upstream), { once: true })
    }
    let home = homes.get(endpoint)
    if (home === undefined) {
      home = new IdleStreams(maxIdleStreams, idleStreamTimeoutMs)
      homes.set(endpoint, home)
    }
    return home
  }

  #dismiss(upstream: Upstream): void {
    for (const home of this.#homes.get(upstream)?.values() ?? []) home.close()
    this.#homes.delete(upstream)
  }
}
