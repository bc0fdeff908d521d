/**
 * One yamux stream without a Duplex: it calls the methods of a sink, so a short stream costs little
 * more than its frames. Each direction ends on its own. The channel is closed when both have ended, or
 * when either side resets it.
 *
 * The sink can be replaced at any time (first a parser, then a splice). Bytes that arrive while there is
 * no sink are held here; the receive window bounds them.
 */
import type { ChannelSink } from './channel-sink.ts'
import type { ChunkAnswer } from '../lent-memory.ts'
import { MuxError } from '../errors.ts'
import { BASE_WINDOW_BYTES, Flag, FrameType } from '../frame/frame.ts'
import { HeldBytes } from './held-bytes.ts'
import { MuxStream } from './mux-stream.ts'
import { ReceiveWindow } from './receive-window.ts'
import { SendingHalf } from './sending-half.ts'
import type { ChannelSession, StreamHost } from './stream-host.ts'

/** Less credit than this is no sign of bulk: an acknowledgement may bring some. */
const MIN_BULK_BYTES = BASE_WINDOW_BYTES / 4

/** How many streams of one part of a session are open. */
export interface StreamCount {
  /** Changed by the session. */
  open: number
}

/** One stream of a session. */
export class Channel {
  /** Stream id on the wire. */
  readonly id: number
  /** The session it belongs to. */
  readonly session: ChannelSession
  /** @internal What it is counted in while it is open. */
  readonly count: StreamCount | undefined
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
  /** Runs while a reset waits for the bytes before it. */
  #resetTimer: NodeJS.Timeout | undefined
  #lastReason = 0
  /** When credit was granted or received last. */
  #creditedAtMs = -Infinity

  /** @internal A session creates channels. */
  constructor(
    host: StreamHost,
    id: number,
    outbound: boolean,
    sink?: ChannelSink,
    count?: StreamCount,
  ) {
    this.id = id
    this.session = host.session
    this.#host = host
    this.#sink = sink
    this.count = count
    this.#sending = new SendingHalf(host, id, this)
    this.#acknowledged = !outbound
    this.#watchedSinceMs = host.sweep.arm()
    this.#window.growTo(host.options.initialWindowBytes, host.budget)
    if (host.pings.isLongPath) this.#window.beginAt(host.options.longPathWindowBytes, host.budget)
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

  /** Whether both sides have ended, or the channel was reset, or its session is over. */
  get closed(): boolean {
    return this.#closed
  }

  /** Whether the peer acknowledged the stream; always true for streams of the peer. */
  get acknowledged(): boolean {
    return this.#acknowledged
  }

  /** Bytes written that the transport has not got yet. */
  get queuedBytes(): number {
    return this.#sending.queuedBytes
  }

  /** What refers to the bytes written so far; true once all have left the process. */
  get holder(): ChunkAnswer {
    return this.#sending.holder
  }

  /** Bytes received and not yet consumed. */
  get heldBytes(): number {
    return this.#window.heldBytes
  }

  /** Size of the receive window, in bytes: the most memory the peer can make the stream use. */
  get receiveWindowBytes(): number {
    return this.#window.limitBytes
  }

  /** Bytes we may send before the peer grants more credit. */
  get sendCreditBytes(): number {
    return this.#sending.creditBytes
  }

  /** Times that data waited for credit. */
  get stalls(): number {
    return this.#sending.stalls
  }

  /** Delivers to `sink` from now on, first what is held. */
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
   * Queues `chunk`, which must not change until `holder` no longer refers to it. A closed channel drops it.
   *
   * @returns false when the caller should wait for `onDrain`.
   * @throws {MuxError} MUX_STREAM_ENDED after `end`.
   * @throws {MuxError} MUX_QUEUE_FULL when more than `maxQueuedBytes` would wait; nothing is queued.
   */
  write(chunk: Buffer): boolean {
    return !this.#closed && this.#sending.write(chunk)
  }

  /**
   * As `write`, but copies `chunk`, which may be changed afterwards. Faster than `write` up to 4 KiB: the
   * copy goes into the next batch at once, and `reset` does not remove it.
   */
  writeCopy(chunk: Buffer): boolean {
    return !this.#closed && this.#sending.writeCopy(chunk)
  }

  /** Ends our side when everything queued is sent. No effect a second time or on a closed channel. */
  end(): void {
    this.#sending.end()
  }

  /**
   * Ends both sides now, drops what is queued and sends RST. The sink's `onClose` is called before this
   * returns. No effect on a closed channel.
   *
   * @param reason - unsigned 32-bit number for the peer. Other yamux implementations ignore it.
   * @throws {RangeError} for another number.
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
   * As `reset`, but what is queued is sent before, as far as that takes no longer than `withinMs`. Nothing
   * may be written meanwhile. A second reason changes nothing.
   *
   * @param lateReason - where that takes longer. Default: the same.
   */
  resetWhenSent(reason: number, withinMs: number, lateReason: number = reason): void {
    if (this.#closed || this.#resetTimer !== undefined) return
    this.session.flush()
    if (!this.#sending.awaitDrain()) {
      this.reset(reason)
      return
    }
    this.#lastReason = reason
    this.#resetTimer = setTimeout(() => this.reset(lateReason), withinMs).unref()
  }

  /**
   * Returns `bytes` that `onData` delivered to the receive window, so that the peer may send more. No
   * effect on a closed channel.
   *
   * @throws {RangeError} when that is more than was received and not consumed.
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

  /** @internal The peer acknowledged the stream. Returns false if it had done so before. */
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
    if (bytes >= MIN_BULK_BYTES) this.#noteCredit(bytes, this.#host.options.clock.now())
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
    if (this.#resetTimer !== undefined) clearTimeout(this.#resetTimer)
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

  /**
   * @internal Returns credit before it is due, as a sign that this side lives; a frame that returns none is
   * legal too.
   *
   * @returns false when the peer has ended the stream, and needs no frame.
   */
  showLife(): boolean {
    if (this.#readableEnded) return false
    this.#host.output.control(FrameType.windowUpdate, 0, this.id, this.#window.grant())
    return true
  }

  /** @internal The FIN was handed to the transport. */
  finished(): void {
    this.notify('onFinish')
    if (this.#readableEnded) this.close()
    else if (this.#resetTimer !== undefined) this.reset(this.#lastReason) // no onDrain follows a FIN
  }

  #returnCredit(): void {
    const { budget, options, output, pings } = this.#host
    const nowMs = options.clock.now()
    pings.probe(nowMs)
    const { maxStreamWindowBytes } = options
    this.#window.tune(nowMs, pings.windowRttMs, maxStreamWindowBytes, budget, pings.isLongPath)
    const bytes = this.#window.grant()
    if (bytes > 0) output.control(FrameType.windowUpdate, 0, this.id, bytes)
    this.#noteCredit(bytes, nowMs)
  }

  #noteCredit(bytes: number, nowMs: number): void {
    this.#host.bulk.credited(bytes, nowMs - this.#creditedAtMs, nowMs)
    this.#creditedAtMs = nowMs
  }

  #deliver(sink: ChannelSink, piece: Buffer): void {
    try {
      this.#host.chunk.note(sink.onData(piece))
    } catch (error) {
      this.#host.chunk.note(false)
      this.#callbackFailed(error)
    }
  }

  // Both wait while bytes are held for a sink, to keep the order data, end, close.
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
        // The channel is closed already, so the session ends.
        this.#host.fail(new MuxError('MUX_CALLBACK_FAILED', 'onClose of a sink threw', { cause }))
      }
    }
  }

  /** @internal Calls a method of the sink. */
  notify(method: 'onDrain' | 'onEnd' | 'onFinish'): void {
    if (method === 'onDrain' && this.#resetTimer !== undefined) {
      this.reset(this.#lastReason)
      return
    }
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
