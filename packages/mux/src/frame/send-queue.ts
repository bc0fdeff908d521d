/**
 * The one way out of a session. Control frames are encoded when they are queued and leave first;
 * payload leaves round robin over the channels that have something to send and credit to send it.
 * What is queued in one turn of the event loop leaves in few batches: headers and small payloads
 * share a slab, large payloads go as they were given, and the transport gets each corked, one
 * writev. While the transport asks for patience nothing is cut, so a channel that becomes ready
 * later still gets into the next batch.
 *
 * Small messages do not wait behind bulk: channels whose whole queue is small are served first, for
 * up to half a batch, and frames are short while more than one channel is ready.
 */
import type { Duplex } from 'node:stream'
import { Batch } from './batch.ts'
import { Fifo } from '../fifo.ts'
import { Flag, FrameType, HEADER_BYTES, writeHeader } from './frame.ts'

/** Bytes handed to the transport at once: 256 KiB writes measured best, more only adds delay. */
const BATCH_BYTES = 262_144
/** Longest frame while several channels are ready, so that none waits long for its turn. */
const SHARED_FRAME_BYTES = 32_768
/** Longest frame of a channel that is alone: as large as the batch. */
const SINGLE_FRAME_BYTES = BATCH_BYTES
/** A channel with no more than this to send counts as small. */
const SMALL_BYTES = 4096
/**
 * Streams whose frames wait for the end of the turn. With more the peer, which could be at work on them
 * meanwhile, waits for this process, and then this process for the peer: with 16 a fifth of two cores
 * could stay idle, and the slowest hundredth of requests took 17 ms instead of 8.
 */
const MAX_GATHERED_STREAMS = 8

/** What a source has to send after a frame of its was cut. */
export type FrameEnd = 'idle' | 'more' | 'fin'

/** Something payload is taken from: a channel, as this module sees it. */
export interface FrameSource {
  readonly id: number
  /** Bytes waiting, with or without credit. */
  readonly queuedBytes: number
  /** Whether `flushed` wants to be called once the batch is written. */
  readonly reportDue: boolean
  /** Takes credit for the next frame and returns its length, at most `maxBytes`, 0 for none. */
  beginFrame(maxBytes: number): number
  /** Removes the next piece of the frame, at most `maxBytes` long. */
  takePiece(maxBytes: number): Buffer
  /** Ends the frame. After `idle` and `fin` the source is no longer queued. */
  endFrame(): FrameEnd
  /** The batch with its frame was handed to the transport. */
  flushed(): void
}

/**
 * A transport. One that wraps another knows better than its own buffer what the platform has not
 * taken yet: while it says 0, nothing refers to what was written to it.
 */
export type Transport = Duplex & { readonly unsentBytes?: number }

/** Batches frames into the transport. */
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
  /** Times a flush was put off because the transport was full. */
  transportStalls = 0

  constructor(transport: Transport, maxControlFrames: number, onControlBacklog: () => void) {
    this.#transport = transport
    this.#maxControlFrames = maxControlFrames
    this.#onControlBacklog = onControlBacklog
    transport.on('drain', this.#flush)
  }

  /** Bytes the transport was given and has not passed on; it may count its own framing in. */
  get unsentBytes(): number {
    return this.#transport.unsentBytes ?? this.#transport.writableLength
  }

  /** Whether a batch is just being made, so that bytes may be neither here nor there. */
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
   * Puts a data frame with a copy of `payload`, which has credit, into the next batch at once: what is
   * small and alone in its stream need not be queued and taken out again.
   *
   * @returns false when it has to wait its turn; nothing was done then.
   */
  put(streamId: number, payload: Buffer): boolean {
    if (this.#state === 'stopped' || this.#state === 'flushing') return false
    const bytes = payload.length
    if (!this.#batch.mayStayOpen(bytes) || this.#transport.writableNeedDrain) return false
    // The frame that opened the stream is among them.
    this.#appendControl()
    this.#appendHeader(FrameType.data, 0, streamId, bytes)
    this.#batch.copy(payload, bytes)
    this.#countReady()
    return true
  }

  /** Writes the control frames that wait, and a last GoAway, even to a transport that is full. */
  finish(goAwayCode?: number): void {
    if (this.#state === 'stopped') return
    this.#appendControl()
    if (goAwayCode !== undefined) this.#appendHeader(FrameType.goAway, 0, 0, goAwayCode)
    this.#writeBatch()
    this.stop()
  }

  /** Drops what is queued and takes no more. */
  stop(): void {
    // A transport that fails within write() still has what it was given before.
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
   * @returns whether nothing waits, neither here nor in the transport.
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
    if (this.#readyThisTurn % MAX_GATHERED_STREAMS === 0) queueMicrotask(this.#flush)
  }

  // What comes in one turn of the event loop shares one write: each socket that became readable runs
  // its own microtasks, so otherwise every visitor's request would be a system call of its own. Where
  // the last turn had only one stream to send for, nobody else is likely to come: then the first frames
  // leave at once, for somebody may be waiting for just them.
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

  // A transport that works synchronously may emit 'drain' inside write(): the loop sees it anyway.
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

  // What was called inside the loop may have stopped the queue.
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
