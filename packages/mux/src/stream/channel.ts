/**
 * One stream of a session, without a Duplex: bytes go to a sink by plain method calls, so that a
 * proxy can splice thousands of short streams at no cost but the frames. Each direction ends by
 * itself; the channel is closed when both have, or when either side resets it.
 *
 * The sink may be replaced at any time (a parser first, a splice later). Bytes that arrive while
 * there is none wait here, inside the receive window.
 */
import type { ChannelSink } from './channel-sink.ts'
import type { ChunkAnswer } from '../lent-memory.ts'
import { MuxError } from '../errors.ts'
import { Flag, FrameType } from '../frame/frame.ts'
import { HeldBytes } from './held-bytes.ts'
import { MuxStream } from './mux-stream.ts'
import { ReceiveWindow } from './receive-window.ts'
import { SendingHalf } from './sending-half.ts'
import type { ChannelSession, StreamHost } from './stream-host.ts'

/** One stream of a session. */
export class Channel {
  /** Stream id on the wire. */
  readonly id: number
  /** The session it belongs to. */
  readonly session: ChannelSession
  readonly #host: StreamHost
  readonly #sending: SendingHalf
  readonly #window = new ReceiveWindow()
  #sink: ChannelSink | undefined
  #held: HeldBytes | undefined
  #acknowledged: boolean
  #watchedSinceMs: number
  #heard = false
  #readableEnded = false
  #endDelivered = false
  #closed = false
  #closeDelivered = false
  #error: MuxError | undefined

  /** @internal Channels come from a session. */
  constructor(host: StreamHost, id: number, outbound: boolean, sink?: ChannelSink) {
    this.id = id
    this.session = host.session
    this.#host = host
    this.#sink = sink
    this.#sending = new SendingHalf(host, id, this)
    this.#acknowledged = !outbound
    this.#watchedSinceMs = host.sweep.arm()
    this.#window.growTo(host.options.initialWindowBytes, host.budget)
    const flag = outbound ? Flag.syn : Flag.ack
    host.output.control(FrameType.windowUpdate, flag, id, this.#window.grant())
  }

  /** Whether `end` was called. */
  get writableEnded(): boolean {
    return this.#sending.ended
  }

  /** Whether the peer ended its side. */
  get readableEnded(): boolean {
    return this.#readableEnded
  }

  /** Whether the channel is over, for whichever reason. */
  get closed(): boolean {
    return this.#closed
  }

  /** Whether the peer acknowledged the stream; true on streams it opened. */
  get acknowledged(): boolean {
    return this.#acknowledged
  }

  /** Bytes written and not yet handed to the transport. */
  get queuedBytes(): number {
    return this.#sending.queuedBytes
  }

  /** Who refers to what was written, as `onData` says it: nobody once it has left this process. */
  get holder(): ChunkAnswer {
    return this.#sending.holder
  }

  /** Bytes received and not yet consumed. */
  get heldBytes(): number {
    return this.#window.heldBytes
  }

  /** Bytes the peer may have under way to us: what the stream can cost in memory. */
  get receiveWindowBytes(): number {
    return this.#window.limitBytes
  }

  /** Bytes the peer still lets us send. */
  get sendCreditBytes(): number {
    return this.#sending.creditBytes
  }

  /** Times that data waited because the peer had given no credit. */
  get stalls(): number {
    return this.#sending.stalls
  }

  /** Delivers to `sink` from now on, beginning with what waits. */
  attach(sink: ChannelSink): void {
    this.#sink = sink
    while (this.#held !== undefined && this.#sink === sink) {
      const piece = this.#held.shift()
      if (piece === undefined) this.#held = undefined
      else this.#deliver(sink, piece)
    }
    this.#deliverEnd()
  }

  /**
   * Queues `chunk`, which must not be changed afterwards. On a closed channel it is dropped, since
   * the sink has been told.
   *
   * @returns false when the caller should wait for `onDrain`.
   * @throws {MuxError} MUX_STREAM_ENDED after `end`.
   * @throws {MuxError} MUX_QUEUE_FULL when more than `maxQueuedBytes` would wait; nothing is queued.
   */
  write(chunk: Buffer): boolean {
    return !this.#closed && this.#sending.write(chunk)
  }

  /**
   * As `write`, but `chunk` may be changed afterwards. Up to 4 KiB that is quicker, too: it goes into the
   * next batch at once, and a `reset` does not take it back.
   */
  writeCopy(chunk: Buffer): boolean {
    return !this.#closed && this.#sending.writeCopy(chunk)
  }

  /** Ends our side once everything queued is sent. Again, or on a closed channel: nothing. */
  end(): void {
    this.#sending.end()
  }

  /**
   * Ends both sides now and tells the peer; what is queued is dropped. The sink's `onClose` is
   * called before this returns. On a closed channel: nothing.
   *
   * @param reason - unsigned 32-bit number for the peer; peers that know none ignore it.
   */
  reset(reason = 0): void {
    if (!Number.isInteger(reason) || reason < 0 || reason > 0xffff_ffff) {
      throw new RangeError(`reason must be an unsigned 32-bit integer, got ${reason}`)
    }
    if (this.#closed) return
    const message = `stream ${this.id} was reset here with reason ${reason}`
    this.abort(new MuxError('MUX_STREAM_ABORTED', message, { reason }))
  }

  /**
   * Gives back `bytes` of what `onData` brought. On a closed channel: nothing.
   *
   * @throws {RangeError} when that is more than was delivered.
   */
  consume(bytes: number): void {
    if (this.#closed) return
    this.#window.consume(bytes)
    if (this.#window.due && !this.#readableEnded) this.#returnCredit()
  }

  /** Wraps the channel in a Duplex, which becomes its sink. */
  toStream(): MuxStream<Channel> {
    return new MuxStream(this)
  }

  /** @internal The peer acknowledged the stream; false when it had done so before. */
  acknowledge(): boolean {
    if (this.#acknowledged) return false
    this.#acknowledged = true
    return true
  }

  /** @internal A Data header was read: `bytes` of payload follow. */
  receiveHeader(bytes: number): void {
    this.#heard = true
    if (this.#window.receive(bytes)) return
    const message = `stream ${this.id}: frame of ${bytes} bytes exceeds the receive window`
    throw new MuxError('MUX_WINDOW_EXCEEDED', message)
  }

  /** @internal A piece of payload came. */
  receive(piece: Buffer): void {
    if (this.#closed) return
    if (this.#sink === undefined || this.#held !== undefined) {
      this.#host.chunk.note(false)
      this.#held ??= new HeldBytes()
      this.#held.push(piece)
    } else this.#deliver(this.#sink, piece)
  }

  /** @internal The peer granted credit. */
  receiveCredit(bytes: number): void {
    this.#sending.receiveCredit(bytes)
  }

  /** @internal The peer ended its side. */
  receiveEnd(): void {
    if (this.#closed) return
    if (this.#readableEnded) {
      throw new MuxError('MUX_FRAME_UNEXPECTED', `stream ${this.id}: a second FIN`)
    }
    this.#readableEnded = true
    this.#deliverEnd()
    if (this.#sending.finished) this.close()
  }

  /** @internal Sends RST with the reason of `error` and closes. */
  abort(error: MuxError): void {
    if (this.#closed) return
    this.#host.output.control(FrameType.windowUpdate, Flag.rst, this.id, error.reason)
    this.close(error)
  }

  /** @internal Closes without sending anything. */
  close(error?: MuxError): void {
    if (this.#closed) return
    this.#closed = true
    this.#error = error
    if (error !== undefined) this.#held = undefined
    this.#sending.stop()
    this.#window.release(this.#host.budget)
    this.#host.table.remove(this)
    this.#deliverEnd()
  }

  /** @internal Resets the stream when its peer took too long; called once per sweep. */
  checkTimeouts(nowMs: number): void {
    const { ackTimeoutMs, halfClosedTimeoutMs } = this.#host.options
    const waitsForEnd = this.#sending.finished && !this.#readableEnded
    if (this.#acknowledged && (this.#heard || !waitsForEnd)) {
      this.#heard = false
      this.#watchedSinceMs = nowMs
      return
    }
    const limitMs = this.#acknowledged ? halfClosedTimeoutMs : ackTimeoutMs
    if (nowMs - this.#watchedSinceMs < limitMs) return
    this.abort(timeoutError(this.id, this.#acknowledged, limitMs))
  }

  /** @internal */
  finished(): void {
    this.notify('onFinish')
    if (this.#readableEnded) this.close()
  }

  #returnCredit(): void {
    const { budget, options, output, pings } = this.#host
    const nowMs = options.clock.now()
    pings.probe(nowMs)
    this.#window.tune(nowMs, pings.minRttMs, options.maxStreamWindowBytes, budget)
    const bytes = this.#window.grant()
    if (bytes > 0) output.control(FrameType.windowUpdate, 0, this.id, bytes)
  }

  #deliver(sink: ChannelSink, piece: Buffer): void {
    try {
      this.#host.chunk.note(sink.onData(piece))
    } catch (error) {
      this.#host.chunk.note(false)
      this.#callbackFailed(error)
    }
  }

  // Both are late where bytes wait for a sink: the order data, end, close always holds.
  #deliverEnd(): void {
    if (this.#sink === undefined || this.#held !== undefined) return
    if (this.#readableEnded && !this.#endDelivered && this.#error === undefined) {
      this.#endDelivered = true
      this.notify('onEnd')
    }
    if (this.#closed && !this.#closeDelivered) {
      this.#closeDelivered = true
      try {
        this.#sink.onClose(this.#error)
      } catch (cause) {
        // The channel is gone already: the session is what is left to end.
        this.#host.fail(new MuxError('MUX_CALLBACK_FAILED', 'onClose of a sink threw', { cause }))
      }
    }
  }

  /** @internal */
  notify(method: 'onDrain' | 'onEnd' | 'onFinish'): void {
    try {
      this.#sink?.[method]?.()
    } catch (error) {
      this.#callbackFailed(error)
    }
  }

  #callbackFailed(cause: unknown): void {
    const message = `stream ${this.id}: a callback of its sink threw`
    this.abort(new MuxError('MUX_CALLBACK_FAILED', message, { cause }))
  }
}

function timeoutError(id: number, isAcknowledged: boolean, limitMs: number): MuxError {
  return isAcknowledged
    ? new MuxError(
        'MUX_HALF_CLOSED_TIMEOUT',
        `stream ${id}: half-closed and silent for ${limitMs} ms`,
      )
    : new MuxError('MUX_ACK_TIMEOUT', `stream ${id}: no acknowledgement within ${limitMs} ms`)
}
