/**
 * A yamux session over one transport. It opens streams, passes on those of the peer, and ends. Its parts
 * do the work: `FrameReader` and `FrameRouter` receive, `SendQueue` sends, `StreamTable` knows the open
 * streams, `Acceptor` passes on those of the peer, `Pings` measures round trips, `TimeoutTimer` checks timeouts
 * and `Lifecycle` ends the session.
 */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { Acceptor } from './acceptor.ts'
import { BulkWatch } from './bulk-watch.ts'
import { Channel, type StreamCount } from '../stream/channel.ts'
import type { ChannelSink } from '../stream/channel-sink.ts'
import { type ChunkAnswer, ChunkUse } from '../lent-memory.ts'
import { MuxError } from '../errors.ts'
import { FrameReader } from '../frame/frame-reader.ts'
import { FrameRouter, type RouterParts } from './frame-router.ts'
import { FrameType } from '../frame/frame.ts'
import { KeepAlive } from './keep-alive.ts'
import { Lifecycle, type SessionEnd } from './lifecycle.ts'
import type { MuxStream } from '../stream/mux-stream.ts'
import { resolveOptions, type ResolvedSessionOptions, type SessionOptions } from './options.ts'
import { Pings } from './pings.ts'
import { SendQueue } from '../frame/send-queue.ts'
import type { ChannelSession } from '../stream/stream-host.ts'
import { type SessionStats, snapshot } from './session-stats.ts'
import { StreamTable } from './stream-table.ts'
import { TimeoutTimer } from './timeout-timer.ts'
import { Waiters } from './waiters.ts'
import { WindowBudget } from '../stream/window-budget.ts'

/** Events of a session. */
export interface SessionEvents {
  /** The peer opened a stream. Not emitted with the option `onChannel`. */
  stream: [stream: MuxStream<Channel>]
  /** The peer takes no more streams (code 0), or ends the session (other codes). */
  goaway: [code: number]
  /** The session is over and its transport is closed. */
  close: [end: SessionEnd]
}

/** Options of `close`. */
export interface CloseOptions {
  /** Stops waiting; the session continues to close. */
  readonly signal?: AbortSignal
  /** Code of a GoAway sent as the very last frame; none is sent by default. */
  readonly code?: number
}

/** Bytes that are answered with a sign of life; less may be the peer's own sign, which needs no answer. */
const SHOW_LIFE_BYTES = 256

/** Many streams over one transport. Owns the transport and ends it when the session ends. */
export class Session extends EventEmitter<SessionEvents> implements ChannelSession {
  /** Resolves when the session is over and its transport is closed; never rejects. */
  readonly closed: Promise<SessionEnd>
  readonly #transport: Duplex
  readonly #options: ResolvedSessionOptions
  readonly #parts: RouterParts & { readonly sweep: TimeoutTimer }
  readonly #life: Lifecycle
  readonly #reader: FrameReader
  readonly #router: FrameRouter
  readonly #keepAlive: KeepAlive
  readonly #acceptor: Acceptor
  readonly #opening = new Waiters()
  #closeCode: number | undefined
  #bytesReceived = 0
  // Both as they were at the last sweep.
  #sweptBytes = 0
  #sweptFrames = 0
  #goAwaySent = false
  #goAwayReceived = false

  /**
   * @param transport - connected; nothing else may read or write it any more.
   * @throws {TypeError | RangeError} for options out of their range.
   */
  constructor(transport: Duplex, options: SessionOptions) {
    super()
    this.#transport = transport
    const resolved = resolveOptions(options)
    const { clock, keepAliveIntervalMs, keepAliveTimeoutMs, maxQueuedControlFrames } = resolved
    const output = new SendQueue(transport, maxQueuedControlFrames, () => {
      const message = `${maxQueuedControlFrames} control frames wait for the transport`
      this.#life.fail(new MuxError('MUX_CONTROL_BACKLOG', message))
    })
    const pings = new Pings(output, clock)
    this.#options = resolved
    this.#parts = {
      session: this,
      options: resolved,
      output,
      pings,
      table: new StreamTable(
        resolved,
        () => this.#streamLeft(),
        () => pings.minRttMs,
      ),
      sweep: new TimeoutTimer(resolved, (nowMs) => this.#sweep(nowMs)),
      bulk: new BulkWatch(),
      budget: new WindowBudget(resolved.maxSessionGrowthBytes, resolved.windowBudget),
      chunk: new ChunkUse(),
      fail: (error) => this.#life.fail(error),
    }
    this.#acceptor = new Acceptor(this, resolved)
    this.#router = new FrameRouter(this.#parts, {
      accepts: () => this.#life.state === 'open' && !this.#goAwaySent,
      opened: (channel) => this.#acceptor.accept(channel),
      wentAway: (code) => this.#wentAway(code),
    })
    this.#reader = new FrameReader(this.#router)
    this.#keepAlive = new KeepAlive(keepAliveIntervalMs, keepAliveTimeoutMs, clock.now())
    if (keepAliveIntervalMs !== Infinity) this.#parts.sweep.arm()
    this.#life = new Lifecycle(transport, resolved, output, {
      received: (chunk) => this.#receive(chunk),
      released: (error) => this.#release(error),
      gone: (end) => this.emit('close', end),
    })
    this.closed = this.#life.closed
  }

  /** What it was made over, for its addresses; only the session may read or write it. */
  get transport(): Duplex {
    return this.#transport
  }

  /** Streams that are open now, of both sides. */
  get openStreams(): number {
    return this.#parts.table.size
  }

  /**
   * Whether one of its streams has moved 4 MB/s or more in the last 200 ms, or up to 2 s where credit comes more seldom:
   * small messages wait behind that, and go faster on another session to the same peer.
   */
  get carriesBulk(): boolean {
    return this.#parts.bulk.carriesBulk(this.#options.clock)
  }

  /** Streams that can be opened before one has to be acknowledged, or to end. */
  get openable(): number {
    return this.#parts.table.openable
  }

  /** Bytes read from the transport: what changes is a sign that the peer lives. */
  get bytesReceived(): number {
    return this.#bytesReceived
  }

  /**
   * Opens a stream without waiting. Data may be written at once.
   *
   * @param sink - receives the events of the channel; `attach` can set it later.
   * @param count - its `open` is one more until the stream is closed.
   * @throws {MuxError} MUX_SESSION_CLOSED, MUX_GOAWAY_RECEIVED, MUX_STREAM_LIMIT, MUX_ACK_BACKLOG,
   * MUX_STREAM_IDS_EXHAUSTED.
   */
  openChannel(sink?: ChannelSink, count?: StreamCount): Channel {
    const refusal = this.#refusal()
    if (refusal !== undefined) throw refusal
    const { table } = this.#parts
    const channel = new Channel(this.#parts, table.takeId(), true, sink, count)
    table.add(channel)
    return channel
  }

  /**
   * Opens a stream as a Duplex; waits while too many wait for the peer's acknowledgement.
   *
   * @throws {MuxError} as `openChannel`, MUX_ACK_BACKLOG excepted.
   */
  async open({ signal }: { readonly signal?: AbortSignal } = {}): Promise<MuxStream<Channel>> {
    signal?.throwIfAborted()
    // Not by whenRoom(): another caller could take the room before this continues.
    while (this.#refusal()?.code === 'MUX_ACK_BACKLOG') await this.#opening.wait(signal)
    return this.openChannel().toStream()
  }

  /**
   * Waits while too many streams are open or wait for the peer's acknowledgement. Another caller may take
   * the room first, so `openChannel` after it can still throw MUX_STREAM_LIMIT or MUX_ACK_BACKLOG.
   */
  async whenRoom({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    signal?.throwIfAborted()
    for (;;) {
      const code = this.#refusal()?.code
      if (code !== 'MUX_ACK_BACKLOG' && code !== 'MUX_STREAM_LIMIT') return
      await this.#opening.wait(signal)
    }
  }

  /** Yields the streams the peer opens, until the session ends. Not with the option `onChannel`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MuxStream<Channel>, void, undefined> {
    for (;;) {
      const next = await this.#acceptor.next()
      if (next.done === true) return
      yield next.value
    }
  }

  /** Sends a ping and resolves with its round trip in ms. Rejects when the session ends first. */
  async ping({ signal }: { readonly signal?: AbortSignal } = {}): Promise<number> {
    signal?.throwIfAborted()
    if (this.#life.over) throw this.#life.closedError()
    return this.#parts.pings.ping(signal)
  }

  /**
   * Sends up to three pings, one after the other, to know whether the path is long: the first streams of one
   * begin with `longPathWindowBytes` then. Without this the pings of `ping()` and those under load tell it later.
   * Rejects when the session ends first.
   */
  async measurePath(): Promise<void> {
    if (this.#life.over) throw this.#life.closedError()
    await this.#parts.pings.measurePath()
  }

  /**
   * Writes what is queued to the transport now instead of later in this turn.
   *
   * @returns true when nothing is left here or in the transport, except data that waits for credit.
   */
  flush(): boolean {
    return this.#parts.output.flushNow()
  }

  /**
   * For sinks that collect the pieces of one chunk of the transport: calls `act`, which must not throw,
   * after the last piece, and uses its answer. See {@link ChunkAnswer}.
   *
   * @returns what `onData` should return.
   */
  afterChunk(act: () => ChunkAnswer): ChunkAnswer {
    return this.#parts.chunk.after(act)
  }

  /** Sends GoAway: we take no more streams, open ones continue. Sent once. */
  goAway(code = 0): void {
    if (this.#goAwaySent || this.#life.over) return
    this.#goAwaySent = true
    this.#parts.output.control(FrameType.goAway, 0, 0, code)
  }

  /**
   * Takes and opens no more streams, waits for the open ones, then ends the transport. A second call
   * waits for the same end; its code is ignored.
   */
  async close({ signal, code }: CloseOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.goAway()
    if (this.#life.beginClosing()) {
      this.#closeCode = code
      this.#opening.rejectAll(this.#life.closedError())
      this.#finishIfDone()
    }
    await this.#life.untilClosed(signal)
  }

  /** Ends the session now, with GoAway(`code`) as the last frame; streams fail. */
  abort(code: number): void {
    const message = `session was aborted here with code ${code}`
    this.#life.finish(new MuxError('MUX_SESSION_ABORTED', message), code)
  }

  /** Ends the session and its transport now, without a GoAway; streams fail. */
  destroy(cause?: Error): void {
    const details = cause === undefined ? {} : { cause }
    const error = new MuxError('MUX_SESSION_DESTROYED', 'session was destroyed here', details)
    this.#life.finishNow(error)
  }

  /** Closes and waits up to `disposeGraceMs`, then destroys. */
  async [Symbol.asyncDispose](): Promise<void> {
    const grace = new AbortController()
    const cancel = this.#options.clock.after(this.#options.disposeGraceMs, () => grace.abort())
    try {
      await this.close({ signal: grace.signal })
    } catch {
      // The grace is over: what is left is destroyed.
    }
    cancel()
    this.destroy()
  }

  /** The last round trip that was measured, ms; undefined before the first. */
  get lastRttMs(): number | undefined {
    return this.#parts.pings.lastRttMs
  }

  /** Returns the current counters and sizes. */
  stats(): SessionStats {
    const { framesReceived } = this.#router
    const received = { bytesReceived: this.#bytesReceived, framesReceived }
    return snapshot(this.#parts, this.#life.state, received)
  }

  #refusal(): MuxError | undefined {
    if (this.#life.state !== 'open') return this.#life.closedError()
    return this.#goAwayReceived ? goAwayError(0) : this.#parts.table.refusal()
  }

  #receive(chunk: Buffer): void {
    this.#bytesReceived += chunk.length
    this.#keepAlive.heard()
    const delivered = this.#parts.chunk.begin(chunk)
    try {
      this.#reader.push(delivered)
    } catch (error) {
      // Errors of users' callbacks are caught where they are called: this is a violation by the peer.
      if (!(error instanceof MuxError)) throw error
      this.#life.fail(error)
    }
    const answer = this.#parts.chunk.end()
    this.#options.onProcessed?.(answer)
  }

  #wentAway(code: number): void {
    const error = goAwayError(code)
    this.#goAwayReceived = true
    this.#opening.rejectAll(error)
    try {
      this.emit('goaway', code)
    } catch (cause) {
      const message = "a listener of 'goaway' threw"
      this.#life.fail(new MuxError('MUX_CALLBACK_FAILED', message, { cause }))
    }
    if (code !== 0) this.#life.finish(error)
  }

  #streamLeft(): void {
    this.#opening.release()
    this.#finishIfDone()
  }

  #finishIfDone(): void {
    if (this.#life.state !== 'closing' || this.#parts.table.size > 0) return
    this.#life.finish(this.#life.closedError(), this.#closeCode)
  }

  #sweep(nowMs: number): boolean {
    this.#parts.table.checkTimeouts(nowMs)
    this.#showLife()
    this.#keepAlive.check(nowMs, this.#parts)
    const watching = this.#parts.table.size > 0 || this.#options.keepAliveIntervalMs !== Infinity
    return watching && !this.#life.over
  }

  /**
   * Sends a frame when a sweep has passed in which the peer sent and we did not. On a slow path its pings
   * wait behind its bulk, and the next credit is due seconds later: only what we send shows that we live.
   */
  #showLife(): void {
    const { output, table } = this.#parts
    const isOwed =
      this.#bytesReceived - this.#sweptBytes >= SHOW_LIFE_BYTES &&
      output.framesSent === this.#sweptFrames
    this.#sweptBytes = this.#bytesReceived
    this.#sweptFrames = output.framesSent
    // The sign itself counts as sent before the sweep.
    if (isOwed && !output.isStalled && table.showLife()) this.#sweptFrames += 1
  }

  #release(error: MuxError): void {
    this.#reader.stop()
    this.#parts.sweep.stop()
    this.#parts.pings.end(error)
    this.#opening.rejectAll(error)
    this.#acceptor.end()
    for (const channel of this.#parts.table.channels()) channel.close(error)
  }
}

function goAwayError(goAwayCode: number): MuxError {
  const message = `peer sent GoAway ${goAwayCode}`
  return new MuxError('MUX_GOAWAY_RECEIVED', message, { goAwayCode })
}
