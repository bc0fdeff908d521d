/**
 * A yamux session over one transport. This class is what users hold: it opens streams, offers those
 * of the peer, and ends. The work is done by its parts: `FrameReader` and `FrameRouter` on the way
 * in, `SendQueue` on the way out, `StreamTable`, `Pings`, and `Sweep` for everything that takes too
 * long. States go one way: open, closing (streams finish), ending (the transport closes), closed.
 */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { AcceptQueue } from './accept-queue.ts'
import { Channel, type ChannelSink } from './channel.ts'
import { MUX_ERRORS, MuxError, type MuxErrorCode } from './errors.ts'
import { FrameReader } from './frame-reader.ts'
import { FrameRouter, type RouterOwner } from './frame-router.ts'
import { FrameType } from './frame.ts'
import { KeepAlive } from './keep-alive.ts'
import type { MuxStream } from './mux-stream.ts'
import { resolveOptions, type ResolvedSessionOptions, type SessionOptions } from './options.ts'
import { Pings } from './pings.ts'
import { SendQueue } from './send-queue.ts'
import type { SessionParts } from './session-parts.ts'
import { type SessionStats, snapshot } from './session-stats.ts'
import { StreamTable } from './stream-table.ts'
import { Sweep } from './sweep.ts'
import { type LinkOwner, TransportLink } from './transport-link.ts'
import { Waiters } from './waiters.ts'
import { WindowBudget } from './window-budget.ts'

/** How a session ended. */
export interface SessionEnd {
  /** What ended it. */
  readonly code: MuxErrorCode
  /** Absent when it ended as `close` or a plain `destroy` asked. */
  readonly error?: MuxError
}

/** Events of a session. */
export interface SessionEvents {
  /** The peer opened a stream. Not emitted with the option `onChannel`. */
  stream: [stream: MuxStream]
  /** The peer takes no more streams (code 0), or ends the session (other codes). */
  goaway: [code: number]
  /** The session is over and its transport gone. */
  close: [end: SessionEnd]
}

/** What `close` can be told. */
export interface CloseOptions {
  /** Stops waiting; the session goes on closing. */
  readonly signal?: AbortSignal
  /** Code of a GoAway sent as the very last frame; none is sent by default. */
  readonly code?: number
}

/** Many streams over one transport. Owns the transport: ends it when the session ends. */
export class Session extends EventEmitter<SessionEvents> {
  /** Resolves when the session is over and its transport gone; never rejects. */
  readonly closed: Promise<SessionEnd>
  readonly #options: ResolvedSessionOptions
  readonly #parts: SessionParts
  readonly #link: TransportLink
  readonly #reader: FrameReader
  readonly #router: FrameRouter
  readonly #keepAlive: KeepAlive
  readonly #accepting: AcceptQueue
  readonly #opening = new Waiters()
  readonly #closing = new Waiters()
  #state: SessionStats['state'] = 'open'
  #closeCode: number | undefined
  #bytesReceived = 0
  #goAwaySent = false
  #goAwayReceived = false
  #end: SessionEnd = { code: 'MUX_SESSION_CLOSED' }
  #resolveClosed: (end: SessionEnd) => void = () => {}

  /**
   * @param transport - connected; nothing else may read or write it from now on.
   * @throws {TypeError | RangeError} for options out of their range.
   */
  constructor(transport: Duplex, options: SessionOptions) {
    super()
    const resolved = resolveOptions(options)
    const output = new SendQueue(transport, resolved.maxQueuedControlFrames, () => {
      const message = `${resolved.maxQueuedControlFrames} control frames wait for the transport`
      this.#fail(new MuxError('MUX_CONTROL_BACKLOG', message))
    })
    this.#options = resolved
    this.#parts = {
      session: this,
      options: resolved,
      output,
      pings: new Pings(output, resolved.clock, resolved.maxPingsPerSecond),
      table: new StreamTable(resolved, () => this.#streamLeft()),
      sweep: new Sweep(resolved, (nowMs) => this.#sweep(nowMs)),
      budget: new WindowBudget(resolved.maxSessionGrowthBytes, resolved.windowBudget),
      fail: (error) => this.#fail(error),
    }
    this.#router = new FrameRouter(this.#parts, this.#routerOwner())
    this.#reader = new FrameReader(this.#router)
    this.#accepting = new AcceptQueue(resolved.acceptBacklog)
    const { keepAliveIntervalMs, keepAliveTimeoutMs, clock } = resolved
    this.#keepAlive = new KeepAlive(keepAliveIntervalMs, keepAliveTimeoutMs, clock.now())
    if (keepAliveIntervalMs !== Infinity) this.#parts.sweep.arm()
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    onNewListener(this, (event) => {
      if (event === 'stream') queueMicrotask(() => this.#offerWaiting())
    })
    this.#link = new TransportLink(transport, this.#linkOwner())
  }

  /** Streams open now, of both sides. */
  get openStreams(): number {
    return this.#parts.table.size
  }

  /**
   * Opens a stream without waiting. Data may be written at once.
   *
   * @param sink - receives what happens; may be given later with `attach`.
   * @throws {MuxError} MUX_SESSION_CLOSED, MUX_GOAWAY_RECEIVED, MUX_STREAM_LIMIT, MUX_ACK_BACKLOG,
   * MUX_STREAM_IDS_EXHAUSTED.
   */
  openChannel(sink?: ChannelSink): Channel {
    const refusal = this.#refusal()
    if (refusal !== undefined) throw refusal
    const { table } = this.#parts
    const channel = new Channel(this.#parts, table.takeId(), true, sink)
    table.add(channel)
    return channel
  }

  /**
   * Opens a stream as a Duplex; waits while too many wait for the peer's acknowledgement.
   *
   * @throws {MuxError} as `openChannel`, MUX_ACK_BACKLOG excepted.
   */
  async open({ signal }: { readonly signal?: AbortSignal } = {}): Promise<MuxStream> {
    signal?.throwIfAborted()
    while (this.#refusal()?.code === 'MUX_ACK_BACKLOG') await this.#opening.wait(signal)
    return this.openChannel().toStream()
  }

  /** Yields the streams the peer opens, until the session ends. Not with the option `onChannel`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<MuxStream, void, undefined> {
    for (;;) {
      const next = await this.#accepting.next()
      if (next.done === true) return
      yield next.value
    }
  }

  /** Sends a ping and resolves with its round trip in ms. Rejects when the session ends first. */
  async ping({ signal }: { readonly signal?: AbortSignal } = {}): Promise<number> {
    signal?.throwIfAborted()
    if (this.#isOver()) throw this.#closedError()
    return this.#parts.pings.ask(signal)
  }

  /** Tells the peer that we take no more streams; open ones go on. Sent once. */
  goAway(code = 0): void {
    if (this.#goAwaySent || this.#isOver()) return
    this.#goAwaySent = true
    this.#parts.output.control(FrameType.goAway, 0, 0, code)
  }

  /**
   * Takes and opens no more streams, waits for those that run, then ends the transport. Called
   * again it waits for the same end; the first call's code counts.
   */
  async close({ signal, code }: CloseOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    this.goAway()
    if (this.#state === 'open') {
      this.#state = 'closing'
      this.#closeCode = code
      this.#opening.rejectAll(this.#closedError())
      this.#finishIfDone()
    }
    if (this.#state !== 'closed') await this.#closing.wait(signal)
  }

  /** Ends the session now, with GoAway(`code`) as the last frame; streams fail. */
  abort(code: number): void {
    const error = new MuxError('MUX_SESSION_ABORTED', `session was aborted here with code ${code}`)
    this.#finish(error, code)
  }

  /** Ends the session and its transport now, without a word to the peer; streams fail. */
  destroy(cause?: Error): void {
    const details = cause === undefined ? {} : { cause }
    this.#finishNow(new MuxError('MUX_SESSION_DESTROYED', 'session was destroyed here', details))
  }

  /** Closes with the grace of the options, then destroys. */
  async [Symbol.asyncDispose](): Promise<void> {
    const grace = new AbortController()
    const cancel = this.#options.clock.after(this.#options.disposeGraceMs, () => grace.abort())
    try {
      await this.close({ signal: grace.signal })
    } catch {
      // Only the grace can have ended: what is left is destroyed.
    }
    cancel()
    this.destroy()
  }

  /** Returns a snapshot of counters and live sizes. */
  stats(): SessionStats {
    const { framesReceived } = this.#router
    return snapshot(this.#parts, this.#state, {
      framesReceived,
      bytesReceived: this.#bytesReceived,
    })
  }

  #refusal(): MuxError | undefined {
    if (this.#state !== 'open') return this.#closedError()
    return this.#goAwayReceived ? goAwayError(0) : this.#parts.table.refusal()
  }

  #closedError(): MuxError {
    const cause = this.#end.error
    return new MuxError('MUX_SESSION_CLOSED', 'session is closed', cause && { cause })
  }

  #isOver(): boolean {
    return this.#state === 'ending' || this.#state === 'closed'
  }

  #streamLeft(): void {
    this.#opening.release()
    this.#finishIfDone()
  }

  #finishIfDone(): void {
    if (this.#state !== 'closing' || this.#parts.table.size > 0) return
    this.#finish(this.#closedError(), this.#closeCode)
  }

  #sweep(nowMs: number): boolean {
    this.#parts.table.checkTimeouts(nowMs)
    const verdict = this.#keepAlive.check(nowMs)
    if (verdict === 'ask') this.#parts.pings.probe(nowMs)
    if (verdict === 'dead') {
      const { keepAliveTimeoutMs } = this.#options
      const message = `nothing came within ${keepAliveTimeoutMs} ms of a ping`
      this.#fail(new MuxError('MUX_KEEPALIVE_TIMEOUT', message))
    }
    const watching = this.#parts.table.size > 0 || this.#options.keepAliveIntervalMs !== Infinity
    return watching && !this.#isOver()
  }

  #accept(channel: Channel): void {
    const { onChannel } = this.#options
    try {
      if (onChannel !== undefined) {
        onChannel(channel)
      } else if (this.listenerCount('stream') > 0) {
        this.emit('stream', channel.toStream())
      } else if (!this.#accepting.push(channel)) {
        const message = `${this.#options.acceptBacklog} streams wait to be taken`
        channel.abort(new MuxError('MUX_ACCEPT_BACKLOG', message))
      }
    } catch (cause) {
      const message = `taking stream ${channel.id} threw`
      channel.abort(new MuxError('MUX_CALLBACK_FAILED', message, { cause }))
    }
  }

  // A 'stream' listener was added: what came before it is for it.
  #offerWaiting(): void {
    while (this.listenerCount('stream') > 0) {
      const channel = this.#accepting.shift()
      if (channel === undefined) return
      this.#accept(channel)
    }
  }

  #wentAway(code: number): void {
    this.#goAwayReceived = true
    const error = goAwayError(code)
    this.#opening.rejectAll(error)
    try {
      this.emit('goaway', code)
    } catch (cause) {
      this.#fail(new MuxError('MUX_CALLBACK_FAILED', "a 'goaway' listener threw", { cause }))
    }
    if (code !== 0) this.#finish(error)
  }

  #receive(chunk: Buffer): void {
    this.#bytesReceived += chunk.length
    this.#keepAlive.heard()
    try {
      this.#reader.push(chunk)
    } catch (error) {
      // Callbacks of users are caught where they are called: this is a broken rule.
      if (error instanceof MuxError) this.#fail(error)
      else throw error
    }
  }

  #fail(error: MuxError): void {
    const { goAway } = MUX_ERRORS[error.code]
    if (goAway === undefined) this.#finishNow(error)
    else this.#finish(error, goAway)
  }

  // Ends with all that waits to be said, and a last GoAway if a code is given.
  #finish(error: MuxError, goAwayCode?: number): void {
    if (this.#isOver()) return
    this.#parts.output.finish(goAwayCode)
    this.#release(error)
    this.#link.end(this.#options.clock, this.#options.lingerTimeoutMs)
  }

  #finishNow(error: MuxError): void {
    if (!this.#isOver()) {
      this.#parts.output.stop()
      this.#release(error)
    }
    this.#link.destroy()
  }

  #release(error: MuxError): void {
    const wanted = error.code === 'MUX_SESSION_CLOSED' || error.code === 'MUX_SESSION_DESTROYED'
    this.#state = 'ending'
    this.#end =
      wanted && error.cause === undefined ? { code: error.code } : { code: error.code, error }
    this.#reader.stop()
    this.#parts.sweep.stop()
    this.#parts.pings.end(error)
    this.#opening.rejectAll(error)
    this.#accepting.end()
    for (const channel of this.#parts.table.channels()) channel.close(error)
  }

  #gone(): void {
    this.#state = 'closed'
    this.#resolveClosed(this.#end)
    this.#closing.releaseAll()
    this.emit('close', this.#end)
  }

  #routerOwner(): RouterOwner {
    return {
      accepts: () => this.#state === 'open' && !this.#goAwaySent,
      opened: (channel) => this.#accept(channel),
      wentAway: (code) => this.#wentAway(code),
    }
  }

  #linkOwner(): LinkOwner {
    return {
      received: (chunk) => this.#receive(chunk),
      ended: () => {
        const where = this.#reader.atFrameBoundary ? 'between frames' : 'inside a frame'
        this.#finish(new MuxError('MUX_TRANSPORT_CLOSED', `transport ended ${where}`))
      },
      failed: (cause) => {
        this.#finishNow(new MuxError('MUX_TRANSPORT_FAILED', 'transport failed', { cause }))
      },
      gone: () => this.#gone(),
    }
  }
}

function goAwayError(goAwayCode: number): MuxError {
  const message = `peer sent GoAway ${goAwayCode}`
  return new MuxError('MUX_GOAWAY_RECEIVED', message, { goAwayCode })
}

// Node's own event, which a typed map of events leaves out.
function onNewListener(
  emitter: { on(event: 'newListener', listener: (event: unknown) => void): unknown },
  listener: (event: unknown) => void,
): void {
  emitter.on('newListener', listener)
}
