import { ResponseHeadReader } from '@proj/http1'
import type { Channel, ChannelSink } from '@proj/mux'
import { RESET_REASONS } from '@proj/tunnel/io'
import type { Upstream } from '@proj/tunnel/server'

import type { Deadlines, Expiring } from './deadlines.ts'

/** Limits of the pool, as in ProxyOptions. */
export interface StreamPoolOptions {
  /** Idle streams kept per agent session and endpoint. */
  readonly maxIdleStreams: number
  /** How long an idle stream is kept, ms. */
  readonly idleStreamTimeoutMs: number
  /** Largest head of a response, bytes. */
  readonly maxHeadBytes: number
}

/** Up to this many bytes it costs less to copy them into the next batch at once than to queue them. */
const COPIED_BYTES = 4096

/**
 * A stream whose window has grown beyond this is not kept: credit that was granted cannot be taken back,
 * and an idle stream would hold a share of the session's memory that others could use.
 */
const MAX_IDLE_WINDOW_BYTES = 1024 * 1024

/** The deadline of a stream in use: the next tick sees it and stops watching the stream. */
const IN_USE = -Infinity

/**
 * Idle streams, by agent session and endpoint. Each one stands for a kept-alive connection between
 * the agent and the service: while a stream is idle here, that connection is idle there, and when
 * the service closes it, the stream ends and leaves the pool.
 */
export class StreamPool {
  readonly #options: StreamPoolOptions
  readonly #deadlines: Deadlines
  readonly #idle = new Map<Upstream, Map<string, IdleStreams>>()

  constructor(options: StreamPoolOptions, deadlines: Deadlines) {
    this.#options = options
    this.#deadlines = deadlines
  }

  /** Takes an idle stream, if there is one. */
  take(upstream: Upstream, endpoint: string): UpstreamStream | undefined {
    return this.#idle.get(upstream)?.get(endpoint)?.take()
  }

  /**
   * Opens a new stream.
   *
   * @param requestId - of the first request, told to the agent
   *
   * @throws {MuxError} when the session takes none.
   */
  open(upstream: Upstream, endpoint: string, requestId: string, sink: ChannelSink): UpstreamStream {
    const channel = upstream.openStream({ kind: 'http', endpoint, requestId }, sink)
    const reader = new ResponseHeadReader({ maxHeadBytes: this.#options.maxHeadBytes })
    const idle = this.#idleStreams(upstream, endpoint)
    return new UpstreamStream(upstream, channel, reader, idle, this.#deadlines)
  }

  /** Ends every idle stream. */
  close(): void {
    for (const upstream of this.#idle.keys()) this.#closeOf(upstream)
  }

  #idleStreams(upstream: Upstream, endpoint: string): IdleStreams {
    const { maxIdleStreams, idleStreamTimeoutMs } = this.#options
    // An upstream that is leaving gets no more requests.
    if (upstream.leaving.aborted) return new IdleStreams(0, idleStreamTimeoutMs)
    let byEndpoint = this.#idle.get(upstream)
    if (byEndpoint === undefined) {
      byEndpoint = new Map()
      this.#idle.set(upstream, byEndpoint)
      upstream.leaving.addEventListener('abort', () => this.#closeOf(upstream), { once: true })
    }
    let idle = byEndpoint.get(endpoint)
    if (idle === undefined) {
      idle = new IdleStreams(maxIdleStreams, idleStreamTimeoutMs)
      byEndpoint.set(endpoint, idle)
    }
    return idle
  }

  #closeOf(upstream: Upstream): void {
    for (const idle of this.#idle.get(upstream)?.values() ?? []) idle.close()
    this.#idle.delete(upstream)
  }
}

/**
 * A stream to an agent that carries one request after another. Between two requests it is its own sink
 * and leaves the pool as soon as it cannot be used again.
 */
export class UpstreamStream implements ChannelSink, Expiring {
  readonly upstream: Upstream
  readonly channel: Channel
  /** Reads the response heads on this stream. */
  readonly reader: ResponseHeadReader
  /** Whether it carried a request before: then its end may only mean that the service closed an idle connection. */
  reused = false
  deadline: number = IN_USE
  readonly #idle: IdleStreams
  readonly #deadlines: Deadlines
  #isWatched = false

  constructor(
    upstream: Upstream,
    channel: Channel,
    reader: ResponseHeadReader,
    idle: IdleStreams,
    deadlines: Deadlines,
  ) {
    this.upstream = upstream
    this.channel = channel
    this.reader = reader
    this.#idle = idle
    this.#deadlines = deadlines
  }

  /** Sends bytes of a request; false when the visitor has to wait. */
  write(bytes: Buffer): boolean {
    const { channel } = this
    return bytes.length <= COPIED_BYTES ? channel.writeCopy(bytes) : channel.write(bytes)
  }

  /** Puts the stream back into the pool after a complete response, or ends it. */
  release(): void {
    this.#idle.put(this)
  }

  /** From now on it is idle, for `timeoutMs` at most. */
  startIdle(timeoutMs: number): void {
    this.reused = true
    this.deadline = this.#deadlines.now + timeoutMs
    if (!this.#isWatched) this.#deadlines.add(this)
    this.#isWatched = true
    this.channel.attach(this)
  }

  /** From now on a request uses it. */
  stopIdle(): void {
    this.deadline = IN_USE
  }

  /** @inheritdoc */
  expire(): void {
    // Most streams are idle again before the next tick: to stop watching any earlier costs more.
    if (this.deadline === IN_USE) this.#unwatch()
    else this.#end()
  }

  /** @inheritdoc */
  onData(): undefined {
    // A response without a request would become the response to the next one.
    this.#leave()
    this.channel.reset(RESET_REASONS.protocolError)
  }

  /** @inheritdoc */
  onEnd(): void {
    this.#end()
  }

  /** @inheritdoc */
  onDrain(): void {}

  /** @inheritdoc */
  onClose(): void {
    this.#leave()
  }

  #end(): void {
    this.#leave()
    this.channel.end()
  }

  #leave(): void {
    this.#idle.remove(this)
    this.#unwatch()
  }

  #unwatch(): void {
    this.#deadlines.delete(this)
    this.#isWatched = false
  }
}

/** The idle streams of one agent session for one endpoint. */
class IdleStreams {
  readonly #streams: UpstreamStream[] = []
  readonly #timeoutMs: number
  #maxStreams: number

  /**
   * @param maxStreams - how many are kept; 0: none.
   * @param timeoutMs - how long each is kept, ms.
   */
  constructor(maxStreams: number, timeoutMs: number) {
    this.#maxStreams = maxStreams
    this.#timeoutMs = timeoutMs
  }

  /** Takes the stream that was used last: its service is the least likely to have closed it. */
  take(): UpstreamStream | undefined {
    const stream = this.#streams.pop()
    stream?.stopIdle()
    return stream
  }

  /** Keeps a stream for the next request, or ends it. */
  put(stream: UpstreamStream): void {
    const { channel } = stream
    if (channel.closed || channel.readableEnded) return
    const isTooLarge = channel.receiveWindowBytes > MAX_IDLE_WINDOW_BYTES
    if (isTooLarge || this.#streams.length >= this.#maxStreams) {
      channel.end()
      return
    }
    this.#streams.push(stream)
    stream.startIdle(this.#timeoutMs)
  }

  /** Forgets a stream; one that is not here changes nothing. */
  remove(stream: UpstreamStream): void {
    const at = this.#streams.indexOf(stream)
    if (at >= 0) this.#streams.splice(at, 1)
  }

  /** Ends all streams, and every one that is put from now on. */
  close(): void {
    this.#maxStreams = 0
    for (const stream of this.#streams.splice(0)) stream.onEnd()
  }
}
