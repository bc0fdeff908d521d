/**
 * Sends all frames of a session. Control frames are encoded when they are queued and go first. Payload
 * follows, round robin over the streams that have data and credit. Frames queued in one turn of the
 * event loop leave in few batches, each written corked, as one writev. No frame is built while the
 * transport needs a drain, so a stream that becomes ready later still gets into the next batch.
 *
 * Small messages do not wait behind bulk: streams with little to send go first, for up to half a
 * batch, and frames are short while several streams are ready.
 */
import type { Duplex } from 'node:stream'
import { Batch } from './batch.ts'
import { Fifo } from '../fifo.ts'
import { Flag, FrameType, HEADER_BYTES, writeHeader } from './frame.ts'

/** Payload of one batch. Writes of 256 KiB measured best; more only adds delay. */
const BATCH_BYTES = 262_144
/** Longest frame while several streams are ready, so that none waits long for its turn. */
const SHARED_FRAME_BYTES = 32_768
/** Longest frame of a stream that is the only one ready: a whole batch. */
const SINGLE_FRAME_BYTES = BATCH_BYTES
/** A stream with at most this much to send counts as small. */
const SMALL_BYTES = 4096
/**
 * Streams whose frames wait for the end of the turn. With more, the two processes take turns instead of
 * working at the same time: with 16, a fifth of two cores was idle and the 99th percentile of requests
 * was 17 ms instead of 8.
 */
const MAX_WAITING_STREAMS = 8

/** What a source has left to send after a frame. */
export type FrameEnd = 'idle' | 'more' | 'fin'

/** One stream, as the send queue sees it. */
export interface FrameSource {
  readonly id: number
  /** Bytes waiting, with or without credit. */
  readonly queuedBytes: number
  /** Whether to call `flushed` when the batch is written. */
  readonly reportDue: boolean
  /** Uses credit for the next frame and returns its length: at most `maxBytes`, 0 for no frame. */
  beginFrame(maxBytes: number): number
  /** Removes the next piece of the frame, at most `maxBytes` long. */
  takePiece(maxBytes: number): Buffer
  /** Ends the frame. After `idle` and `fin` the source is no longer queued. */
  endFrame(): FrameEnd
  /** The batch with its frame was handed to the transport. */
  flushed(): void
}

/**
 * A transport. One that wraps another also counts the other's queue: while `unsentBytes` is 0, nothing
 * refers to what was written to it (see `ChunkAnswer`).
 */
export type Transport = Duplex & { readonly unsentBytes?: number }

/** Queues frames and writes them to the transport in batches. */
export class SendQueue {
  readonly #transport: Transport
  readonly #maxControlFrames: number
  readonly #onControlBacklog: () => void
  readonly #small = new Fifo<FrameSource>()
  readonly #bulk = new Fifo<FrameSource>()
  readonly #batch = new Batch()
  readonly #reports = new Fifo<FrameSource>()
  #control = Buffer.allocUnsafe(HEADER_BYTES * 8)
  #controlFrames = 0
  #isTurnBegun = false
  #readyThisTurn = 0
  #isQuiet = true
  #state: 'idle' | 'scheduled' | 'flushing' | 'stopped' = 'idle'
  /** Bytes handed to the transport, headers included. */
  bytesSent = 0
  /** Frames handed to the transport. */
  framesSent = 0
  /** Times a flush stopped because the transport needed a drain. */
  transportStalls = 0

  constructor(transport: Transport, maxControlFrames: number, onControlBacklog: () => void) {
    this.#transport = transport
    this.#maxControlFrames = maxControlFrames
    this.#onControlBacklog = onControlBacklog
    transport.on('drain', this.#flush)
  }

  /** Bytes written to the transport that it has not passed on; may include its own framing. */
  get unsentBytes(): number {
    return this.#transport.unsentBytes ?? this.#transport.writableLength
  }

  /** Whether the transport has to drain before it gets more. */
  get isStalled(): boolean {
    return this.#transport.writableNeedDrain
  }

  /** Whether a batch is being built, so that some bytes are neither queued nor counted as sent. */
  get isFlushing(): boolean {
    return this.#state === 'flushing'
  }

  /** Queues a frame without payload. */
  control(type: number, flags: number, streamId: number, length: number): void {
    if (this.#state === 'stopped') return
    if (this.#controlFrames >= this.#maxControlFrames) {
      this.#onControlBacklog()
      return
    }
    const offset = this.#controlFrames * HEADER_BYTES
    if (offset === this.#control.length) {
      this.#control = Buffer.concat([this.#control, this.#control])
    }
    writeHeader(this.#control, offset, type, flags, streamId, length)
    this.#controlFrames += 1
    this.#schedule()
  }

  /** Queues `source`, which has data with credit or a FIN to send, and is not queued yet. */
  ready(source: FrameSource): void {
    if (this.#state === 'stopped') return
    const queue = source.queuedBytes <= SMALL_BYTES ? this.#small : this.#bulk
    queue.push(source)
    this.#countReady()
  }

  /**
   * Adds a Data frame with a copy of `payload` to the next batch at once. The caller has the credit and
   * nothing else queued on the stream.
   *
   * @returns false when the payload has to be queued instead; nothing was done then.
   */
  put(streamId: number, payload: Buffer): boolean {
    if (this.#state === 'stopped' || this.#state === 'flushing') return false
    const bytes = payload.length
    if (!this.#batch.canStayOpen(bytes) || this.#transport.writableNeedDrain) return false
    // The SYN of this stream may be among them.
    this.#appendControl()
    this.#appendHeader(FrameType.data, 0, streamId, bytes)
    this.#batch.copy(payload, bytes)
    this.#countReady()
    return true
  }

  /** Writes the queued control frames and a last GoAway, even if the transport needs a drain. */
  finish(goAwayCode?: number): void {
    if (this.#state === 'stopped') return
    this.#appendControl()
    if (goAwayCode !== undefined) this.#appendHeader(FrameType.goAway, 0, 0, goAwayCode)
    this.#writeBatch()
    this.stop()
  }

  /** Drops what is queued and ignores further frames. */
  stop(): void {
    // If the transport failed within write(), it still refers to the buffers it got before.
    const isFree = this.#state !== 'flushing'
    this.#state = 'stopped'
    this.#transport.off('drain', this.#flush)
    this.#small.clear()
    this.#bulk.clear()
    this.#reports.clear()
    this.#controlFrames = 0
    this.#batch.take()
    this.#batch.done(isFree)
  }

  /**
   * Flushes now.
   *
   * @returns whether nothing is left in this queue or in the transport.
   */
  flushNow(): boolean {
    if (this.#state === 'flushing') return false
    this.#flush()
    return !this.#hasFrames() && this.unsentBytes === 0
  }

  #hasFrames(): boolean {
    return this.#controlFrames + this.#small.size + this.#bulk.size + this.#batch.bytes > 0
  }

  #countReady(): void {
    this.#readyThisTurn += 1
    this.#schedule()
    if (this.#readyThisTurn % MAX_WAITING_STREAMS === 0) queueMicrotask(this.#flush)
  }

  // All frames of one turn of the event loop share one write. Each readable socket runs its own
  // microtasks, so a flush in a microtask would be a system call per request. But if only one stream
  // sent in the last turn, others are unlikely in this one: then the first frames leave at once.
  #schedule(): void {
    if (this.#state !== 'idle') return
    this.#state = 'scheduled'
    if (this.#isTurnBegun) return
    this.#isTurnBegun = true
    if (this.#isQuiet) queueMicrotask(this.#flush)
    setImmediate(this.#endTurn)
  }

  readonly #endTurn = (): void => {
    this.#isTurnBegun = false
    this.#isQuiet = this.#readyThisTurn <= 1
    this.#readyThisTurn = 0
    if (this.#state === 'scheduled') this.#flush()
  }

  // A synchronous transport may emit 'drain' inside write(); the loop continues then anyway.
  readonly #flush = (): void => {
    if (this.#state === 'stopped' || this.#state === 'flushing') return
    this.#state = 'flushing'
    while (this.#hasFrames()) {
      if (this.#transport.writableNeedDrain) {
        this.transportStalls += 1
        break
      }
      this.#appendControl()
      this.#appendPayload()
      this.#writeBatch()
      this.#report()
    }
    if (!this.#isStopped()) this.#state = 'idle'
  }

  // A callback in the loop may have stopped the queue.
  #isStopped(): boolean {
    return this.#state === 'stopped'
  }

  #appendControl(): void {
    const bytes = this.#controlFrames * HEADER_BYTES
    if (bytes === 0) return
    this.#batch.copy(this.#control, bytes)
    this.framesSent += this.#controlFrames
    this.#controlFrames = 0
  }

  #appendPayload(): void {
    let room = BATCH_BYTES
    const keptForBulk = this.#bulk.size > 0 ? BATCH_BYTES / 2 : 0
    while (this.#small.size > 0 && room > keptForBulk) {
      room -= this.#appendFrame(this.#small.shift(), Math.min(room, SHARED_FRAME_BYTES))
    }
    while (this.#bulk.size > 0 && room > 0) {
      const alone = this.#bulk.size === 1 && this.#small.size === 0
      const longest = alone ? SINGLE_FRAME_BYTES : SHARED_FRAME_BYTES
      room -= this.#appendFrame(this.#bulk.shift(), Math.min(room, longest))
    }
  }

  #appendFrame(source: FrameSource | undefined, maxBytes: number): number {
    if (source === undefined) return 0
    const bytes = source.beginFrame(maxBytes)
    if (bytes > 0) {
      this.#appendHeader(FrameType.data, 0, source.id, bytes)
      for (let left = bytes; left > 0;) left -= this.#batch.payload(source.takePiece(left))
    }
    const end = source.endFrame()
    if (end === 'more') this.#bulk.push(source)
    else if (end === 'fin') this.#appendHeader(FrameType.windowUpdate, Flag.fin, source.id, 0)
    if (source.reportDue) this.#reports.push(source)
    return bytes + HEADER_BYTES
  }

  #appendHeader(type: number, flags: number, streamId: number, length: number): void {
    this.#batch.header(type, flags, streamId, length)
    this.framesSent += 1
  }

  #writeBatch(): void {
    const buffers = this.#batch.take()
    const corked = buffers.length > 1
    if (corked) this.#transport.cork()
    for (const buffer of buffers) {
      this.bytesSent += buffer.length
      this.#transport.write(buffer)
    }
    if (corked) this.#transport.uncork()
    this.#batch.done(this.#transport.unsentBytes === 0)
  }

  #report(): void {
    for (let source = this.#reports.shift(); source !== undefined; source = this.#reports.shift()) {
      source.flushed()
    }
  }
}
