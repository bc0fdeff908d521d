// Length: streams, the places they are idle in and the look before reuse change each other.
import { ResponseHeadReader } from '@proj/http1'
import { type Channel, type ChannelSink, DEFAULTS } from '@proj/mux'
import { RESET_REASONS } from '@proj/tunnel/io'
import type { Endpoint, Upstream } from '@proj/tunnel/server'

import type { Deadlines, Expiring } from './deadlines.ts'

/** Limits of the pool, as in ProxyOptions. */
export interface StreamPoolOptions {
  /** Idle streams kept per agent session and endpoint; more are kept for BRIEFLY_MS. 0: none are kept. */
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
 * and an idle stream would hold a share of the session's memory that others could use. What a stream of a
 * long path begins with is less: the mux bounds how much of the memory all of these have.
 */
const MAX_IDLE_WINDOW_BYTES = DEFAULTS.longPathWindowBytes

/**
 * How long those are kept that are more than `maxIdleStreams`, ms. A thousand visitors at once use a thousand streams,
 * and many of these are idle for a moment: if each one ended then, every other request would need a new connection to the
 * service, which costs the agent five times as much. No more are kept once half of the session's streams are open,
 * and all give way to new ones, see `makeRoom`. To another node no
 * more are kept: they count in the shares of its agents, and that node does not know that they are idle.
 */
const BRIEFLY_MS = 1_000

/**
 * How long an idle stream is looked at before another visitor may have it, ms: bytes that the service sent
 * beyond its answer come within that time, and would be the start of the next answer.
 */
const LOOK_MS = 10

/** A visitor's connection: it may use a stream again at once that others have to wait for. */
export interface StreamOwner {
  /** The stream that carried its last request, while it is idle. */
  kept: UpstreamStream | undefined
}

/**
 * Time since the last request began after which a stream carries only requests that may be sent twice, ms. When
 * the answer left the service is not known: it may have been late. The service may be about to close the connection, and another request that meets the end could not be sent again unless it is
 * proved that it was not taken. A dial is cheap for a visitor that was away for so long. Shorter than the
 * keep-alive timeouts of servers (Node and Apache 5 s, nginx 75 s) less a round trip to the service.
 */
const MAX_IDLE_ONCE_MS = 500

/**
 * Endpoints of one session that are remembered before those without idle streams are looked for: a session may
 * register and release names without end.
 */
const MAX_UNUSED_ENDPOINTS = 256

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
  readonly #looks = new Looks()

  constructor(options: StreamPoolOptions, deadlines: Deadlines) {
    this.#options = options
    this.#deadlines = deadlines
  }

  /**
   * Takes an idle stream, if there is one: that of the owner first.
   *
   * @param isOnce - the request may not be sent twice.
   */
  take(
    upstream: Upstream,
    endpoint: string,
    owner: StreamOwner | undefined,
    isOnce: boolean,
  ): UpstreamStream | undefined {
    return this.#idle.get(upstream)?.get(endpoint)?.take(owner, isOnce)
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

  /**
   * Ends the stream that has been idle for longest, at once, so that another one can be opened in its place.
   *
   * @param endpoint - whose; undefined: of any endpoint of the session.
   * @returns false when none is idle.
   */
  makeRoom(upstream: Upstream, endpoint?: string): boolean {
    const byEndpoint = this.#idle.get(upstream)
    if (byEndpoint === undefined) return false
    if (endpoint !== undefined) return byEndpoint.get(endpoint)?.endOldest() === true
    for (const idle of byEndpoint.values()) if (idle.endOldest()) return true
    return false
  }

  /** Endpoints that are remembered, in all sessions. */
  get endpoints(): number {
    let count = 0
    for (const byEndpoint of this.#idle.values()) count += byEndpoint.size
    return count
  }

  /** Idle streams that all visitors may use, of all sessions. */
  get shared(): number {
    let count = 0
    for (const byEndpoint of this.#idle.values()) {
      for (const idle of byEndpoint.values()) count += idle.shared
    }
    return count
  }

  /** Ends every idle stream. */
  close(): void {
    for (const upstream of this.#idle.keys()) this.#closeOf(upstream)
    this.#looks.close()
  }

  /**
   * Ends the idle streams to other nodes for an endpoint: an agent that is leaving there waits for them, and only
   * this node knows that they are idle.
   */
  endRemote({ tenant, name }: Endpoint): void {
    for (const [upstream, byEndpoint] of this.#idle) {
      if (upstream.isRemote !== true || upstream.tenant !== tenant) continue
      byEndpoint.get(name)?.close()
      byEndpoint.delete(name)
    }
  }

  #idleStreams(upstream: Upstream, endpoint: string): IdleStreams {
    const { maxIdleStreams, idleStreamTimeoutMs } = this.#options
    // An upstream that is leaving gets no more requests.
    if (upstream.leaving.aborted) return new IdleStreams(0, idleStreamTimeoutMs, this.#looks)
    let byEndpoint = this.#idle.get(upstream)
    if (byEndpoint === undefined) {
      byEndpoint = new Map()
      this.#idle.set(upstream, byEndpoint)
      upstream.leaving.addEventListener('abort', () => this.#closeOf(upstream), { once: true })
    }
    let idle = byEndpoint.get(endpoint)
    if (idle === undefined) {
      if (byEndpoint.size >= MAX_UNUSED_ENDPOINTS) forgetUnused(byEndpoint)
      idle = new IdleStreams(maxIdleStreams, idleStreamTimeoutMs, this.#looks)
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
  /** When its last request began, `performance.now()`: the service may have been idle ever since. */
  usedSince: number = performance.now()
  deadline: number = IN_USE
  /** The visitor that may use it before others, or alone, while it is idle. */
  keptBy: StreamOwner | undefined
  /** Where it is idle. */
  readonly idle: IdleStreams
  /** Whether other visitors may use it once it has been looked at. */
  isShared = false
  /** The turn of {@link Looks} in which it became idle; undefined: it is not looked at. */
  lookedSince: number | undefined
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
    this.idle = idle
    this.#deadlines = deadlines
  }

  /** Sends bytes of a request; false when the visitor has to wait. */
  write(bytes: Buffer): boolean {
    const { channel } = this
    return bytes.length <= COPIED_BYTES ? channel.writeCopy(bytes) : channel.write(bytes)
  }

  /** Whether no request uses it. */
  get isIdle(): boolean {
    return this.deadline !== IN_USE
  }

  /**
   * Puts the stream back into the pool after a complete response, or ends it.
   *
   * @param owner - visitor that may use it at once; undefined: none.
   * @param isShared - whether others may use it after a look.
   */
  release(owner: StreamOwner | undefined, isShared: boolean): void {
    this.idle.put(this, owner, isShared)
  }

  /** Puts the stream back into the pool, at once, for all visitors. */
  releaseUnchecked(): void {
    this.idle.putReady(this)
  }

  /** Its visitor is gone, or keeps another stream: what only that visitor may use ends. */
  disown(): void {
    const { keptBy } = this
    if (keptBy === undefined) return
    keptBy.kept = undefined
    this.keptBy = undefined
    if (!this.isShared && this.isIdle) this.#end()
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
    this.usedSince = performance.now()
    this.deadline = IN_USE
  }

  /** Ends it so that it no longer counts among the streams of its session: no request waits for it. */
  giveWay(): void {
    this.#leave()
    this.channel.reset(RESET_REASONS.consumerGone)
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
    this.idle.remove(this)
    this.#unwatch()
  }

  #unwatch(): void {
    this.#deadlines.delete(this)
    this.#isWatched = false
  }
}

/** The idle streams of one agent session for one endpoint. */
class IdleStreams {
  /** Those that all visitors may use. */
  readonly #ready: UpstreamStream[] = []
  /** Those that only their visitors may use, yet or at all. */
  readonly #kept = new Set<UpstreamStream>()
  readonly #timeoutMs: number
  readonly #looks: Looks
  #maxStreams: number

  /**
   * @param maxStreams - how many are kept for that long; 0: none are kept at all.
   * @param timeoutMs - how long each is kept, ms.
   */
  constructor(maxStreams: number, timeoutMs: number, looks: Looks) {
    this.#maxStreams = maxStreams
    this.#timeoutMs = timeoutMs
    this.#looks = looks
  }

  /** Takes the owner's stream, or the one that was used last: its service is the least likely to have closed it. */
  take(owner: StreamOwner | undefined, isOnce: boolean): UpstreamStream | undefined {
    const kept = owner?.kept
    if (owner !== undefined && kept?.idle === this && !(isOnce && mayBeLongIdle(kept))) {
      owner.kept = undefined
      kept.keptBy = undefined
      this.#kept.delete(kept)
      kept.stopIdle()
      return kept
    }
    const stream = this.#ready.at(-1)
    // Most others have been idle for longer still.
    if (stream === undefined || (isOnce && mayBeLongIdle(stream))) return undefined
    this.#ready.pop()
    stream.stopIdle()
    return stream
  }

  /** Keeps a stream for its owner and perhaps, after a look, for others; or ends it. */
  put(stream: UpstreamStream, owner: StreamOwner | undefined, isShared: boolean): void {
    if (!this.#keeps(stream)) return
    this.#kept.add(stream)
    stream.isShared = isShared
    if (owner !== undefined) {
      owner.kept?.disown()
      owner.kept = stream
      stream.keptBy = owner
    }
    this.#startIdle(stream)
    if (isShared) this.#looks.add(stream)
  }

  /** Keeps a stream for all visitors, or ends it. */
  putReady(stream: UpstreamStream): void {
    if (!this.#keeps(stream)) return
    this.#ready.push(stream)
    this.#startIdle(stream)
  }

  /** No byte came on a stream that was checked: all visitors may use it. */
  share(stream: UpstreamStream): void {
    if (!this.#kept.delete(stream)) return
    if (stream.keptBy !== undefined) stream.keptBy.kept = undefined
    stream.keptBy = undefined
    this.#ready.push(stream)
  }

  /** Forgets a stream; one that is not here changes nothing. */
  remove(stream: UpstreamStream): void {
    if (stream.keptBy?.kept === stream) stream.keptBy.kept = undefined
    stream.keptBy = undefined
    if (this.#kept.delete(stream)) return
    const at = this.#ready.indexOf(stream)
    if (at >= 0) this.#ready.splice(at, 1)
  }

  /** How many all visitors may use. */
  get shared(): number {
    return this.#ready.length
  }

  /** Whether no stream is idle here. */
  get isUnused(): boolean {
    return this.#ready.length === 0 && this.#kept.size === 0
  }

  /** Ends all streams, and every one that is put from now on. */
  close(): void {
    this.#maxStreams = 0
    for (const stream of [...this.#ready, ...this.#kept]) stream.onEnd()
  }

  /** Ends the one that has been idle for longest; false when there is none. */
  endOldest(): boolean {
    const oldest = this.#ready[0] ?? this.#kept.values().next().value
    oldest?.giveWay()
    return oldest !== undefined
  }

  #startIdle(stream: UpstreamStream): void {
    const isSurplus = this.#ready.length + this.#kept.size > this.#maxStreams
    stream.startIdle(isSurplus ? Math.min(this.#timeoutMs, BRIEFLY_MS) : this.#timeoutMs)
  }

  /** Whether a stream is kept; one that cannot be is ended. */
  #keeps({ channel, upstream }: UpstreamStream): boolean {
    if (channel.closed || channel.readableEnded) return false
    const isTooLarge = channel.receiveWindowBytes > MAX_IDLE_WINDOW_BYTES
    const isFull = this.#isFull(upstream)
    if (isTooLarge || isFull) channel.end()
    return !isTooLarge && !isFull
  }

  #isFull({ openStreams, maxStreams, isRemote }: Upstream): boolean {
    if (this.#ready.length + this.#kept.size < this.#maxStreams) return false
    return this.#maxStreams === 0 || isRemote === true || openStreams > maxStreams / 2
  }
}

/** Shares idle streams once they have been silent for LOOK_MS to twice that; one timer for all. */
class Looks {
  #fresh: UpstreamStream[] = []
  #older: UpstreamStream[] = []
  #turn = 0
  #timer: NodeJS.Timeout | undefined

  /** Looks at a stream that has just become idle. */
  add(stream: UpstreamStream): void {
    if (stream.lookedSince === undefined) this.#fresh.push(stream)
    stream.lookedSince = this.#turn
    this.#start()
  }

  /** Stops looking. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#fresh = []
    this.#older = []
  }

  #start(): void {
    this.#timer ??= setTimeout(this.#next, LOOK_MS).unref()
  }

  readonly #next = (): void => {
    this.#timer = undefined
    this.#turn += 1
    const older = this.#older
    this.#older = this.#fresh
    this.#fresh = []
    for (const stream of older) {
      const since = stream.lookedSince ?? 0
      // Used again since, and idle again: looked at from then on.
      if (stream.isIdle && stream.isShared && since > this.#turn - 2) this.#fresh.push(stream)
      else {
        stream.lookedSince = undefined
        if (stream.isIdle && stream.isShared) stream.idle.share(stream)
      }
    }
    if (this.#older.length > 0 || this.#fresh.length > 0) this.#start()
  }
}

/** A stream that is in use puts itself back where it came from, forgotten or not: then it is not found again. */
function forgetUnused(byEndpoint: Map<string, IdleStreams>): void {
  for (const [endpoint, idle] of byEndpoint) {
    if (!idle.isUnused) continue
    idle.close()
    byEndpoint.delete(endpoint)
  }
}

function mayBeLongIdle(stream: UpstreamStream): boolean {
  return performance.now() - stream.usedSince > MAX_IDLE_ONCE_MS
}
