/**
 * The sending side of one stream: queued bytes, credit from the peer, and the FIN. It is in the
 * session's send queue exactly while it can send something: data with credit, or the FIN.
 */
import type { ChunkAnswer, ChunkHolder } from '../lent-memory.ts'
import { MuxError } from '../errors.ts'
import { BASE_WINDOW_BYTES } from '../frame/frame.ts'
import type { FrameEnd, FrameSource, SendQueue } from '../frame/send-queue.ts'
import { Fifo } from '../fifo.ts'
import type { StreamHost } from './stream-host.ts'

const MAX_CREDIT_BYTES = 0xffff_ffff
/**
 * Bytes that may be queued on all streams of the process before each of them holds less: from then on
 * `write` returns false at once, so that a stream without credit holds one read of its socket and not
 * `writeHighWaterBytes`. Many slow readers would otherwise need a quarter of a mebibyte each.
 */
export const AMPLE_QUEUE_BYTES = 33_554_432

/** Bytes queued on all streams of the process. */
let queuedInAll = 0

/** Longest copy that skips the queue of its stream. */
const MAX_PUT_BYTES = 4096

/** Called when frames of the stream were handed to the transport. */
export interface SendingOwner {
  /** There is room again after `write` returned false. */
  notify(method: 'onDrain'): void
  /** The FIN was handed to the transport. */
  finished(): void
}

/** Queue and credit of one stream. */
export class SendingHalf implements FrameSource {
  readonly id: number
  readonly #host: StreamHost
  readonly #owner: SendingOwner
  readonly #buffer = new SendBuffer()
  #credit = BASE_WINDOW_BYTES
  #queued = false
  #needDrain = false
  /** What may be queued when `onDrain` is called, bytes. */
  #drainedBytes: number
  #starved = false
  #state: 'open' | 'ended' | 'finSent' | 'finished' | 'stopped' = 'open'
  /** Times that data waited for credit. */
  stalls = 0
  /** Bytes written, sent or not. */
  writtenBytes = 0

  constructor(host: StreamHost, id: number, owner: SendingOwner) {
    this.#host = host
    this.id = id
    this.#owner = owner
    this.#drainedBytes = host.options.writeHighWaterBytes / 2
  }

  get queuedBytes(): number {
    return this.#buffer.bytes
  }

  /** What refers to the bytes written so far; see {@link ChunkAnswer}. */
  get holder(): ChunkAnswer {
    const unsent = new Unsent(this, this.#host.output)
    return unsent.drained || unsent
  }

  /** Bytes we may send before the peer grants more credit. */
  get creditBytes(): number {
    return this.#credit
  }

  /** Whether `end` was called. */
  get ended(): boolean {
    return this.#state !== 'open'
  }

  /** Whether the FIN was handed to the transport. */
  get finished(): boolean {
    return this.#state === 'finished'
  }

  /** Queues `chunk`; false when the caller should wait. */
  write(chunk: Buffer): boolean {
    if (this.#state !== 'open') {
      throw new MuxError('MUX_STREAM_ENDED', `write() after end() on stream ${this.id}`)
    }
    const { maxQueuedBytes, writeHighWaterBytes } = this.#host.options
    const bytes = this.#buffer.bytes + chunk.length
    if (bytes > maxQueuedBytes && this.#buffer.bytes > 0) {
      const message = `stream ${this.id} would queue ${bytes} bytes, maxQueuedBytes ${maxQueuedBytes}`
      throw new MuxError('MUX_QUEUE_FULL', message)
    }
    this.#buffer.push(chunk)
    this.writtenBytes += chunk.length
    this.#enqueue()
    // What is empty is never sent, so no `onDrain` would follow.
    if (bytes === 0) return true
    if (bytes < writeHighWaterBytes && queuedInAll < AMPLE_QUEUE_BYTES) return true
    this.#needDrain = true
    return false
  }

  /** As `write`, but copies `chunk`. */
  writeCopy(chunk: Buffer): boolean {
    const bytes = chunk.length
    // Bytes that are queued have to go first.
    const isAlone = this.#state === 'open' && !this.#queued && this.#buffer.bytes === 0
    const isShort = bytes > 0 && bytes <= Math.min(this.#credit, MAX_PUT_BYTES)
    if (!isAlone || !isShort || !this.#host.output.put(this.id, chunk)) {
      return this.write(Buffer.from(chunk))
    }
    this.#starved = false
    this.#credit -= bytes
    this.writtenBytes += bytes
    return true
  }

  /** Asks for `onDrain` when the buffer is empty; false when it is. */
  awaitDrain(): boolean {
    if (this.#buffer.bytes === 0) return false
    this.#drainedBytes = 0
    this.#needDrain = true
    return true
  }

  /** Sends FIN once the buffer is empty. */
  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#enqueue()
  }

  /** Drops everything and stops sending. */
  stop(): void {
    this.#state = 'stopped'
    this.#needDrain = false
    this.#buffer.clear()
  }

  /** Adds credit that the peer granted. */
  receiveCredit(bytes: number): void {
    this.#credit += bytes
    if (this.#credit > MAX_CREDIT_BYTES) {
      throw new MuxError('MUX_CREDIT_OVERFLOW', `stream ${this.id}: credit exceeds 32 bits`)
    }
    if (bytes > 0) this.#enqueue()
  }

  get reportDue(): boolean {
    if (this.#state === 'finSent') return true
    return this.#needDrain && this.#buffer.bytes <= this.#drainedBytes
  }

  beginFrame(maxBytes: number): number {
    const bytes = Math.min(this.#buffer.bytes, this.#credit, maxBytes)
    this.#credit -= bytes
    return bytes
  }

  takePiece(maxBytes: number): Buffer {
    return this.#buffer.take(maxBytes)
  }

  endFrame(): FrameEnd {
    if (this.#buffer.bytes > 0 && this.#credit > 0) return 'more'
    this.#queued = false
    if (this.#buffer.bytes > 0) {
      this.#countStall()
    } else if (this.#state === 'ended') {
      this.#state = 'finSent'
      return 'fin'
    }
    return 'idle'
  }

  flushed(): void {
    if (this.#state === 'finSent') {
      this.#state = 'finished'
      this.#owner.finished()
    } else if (this.#needDrain) {
      this.#needDrain = false
      this.#owner.notify('onDrain')
    }
  }

  #enqueue(): void {
    if (this.#queued) return
    if (this.#buffer.bytes > 0) {
      if (this.#credit === 0) {
        this.#countStall()
        return
      }
      this.#starved = false
    } else if (this.#state !== 'ended') {
      return
    }
    this.#queued = true
    this.#host.output.ready(this)
  }

  #countStall(): void {
    if (this.#starved) return
    this.#starved = true
    this.stalls += 1
    this.#host.table.stalls += 1
  }
}

/** Queued chunks of one stream; they are cut without copying. */
class SendBuffer {
  readonly #chunks = new Fifo<Buffer>()
  #offset = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Adds a chunk, which must not change until it is sent. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    queuedInAll += chunk.length
  }

  /** Removes the first piece, at most `maxBytes` long, which must be at least 1. */
  take(maxBytes: number): Buffer {
    const chunk = this.#chunks.peek()
    if (chunk === undefined) throw new RangeError('take() from an empty SendBuffer')
    const end = Math.min(chunk.length, this.#offset + maxBytes)
    const whole = this.#offset === 0 && end === chunk.length
    const piece = whole ? chunk : chunk.subarray(this.#offset, end)
    this.#bytes -= piece.length
    queuedInAll -= piece.length
    if (end === chunk.length) {
      this.#chunks.shift()
      this.#offset = 0
    } else {
      this.#offset = end
    }
    return piece
  }

  clear(): void {
    this.#chunks.clear()
    this.#offset = 0
    queuedInAll -= this.#bytes
    this.#bytes = 0
  }
}

/**
 * Refers to what was written to a stream before this was created, until the platform has taken it.
 * First the bytes are queued on the stream, then in the transport, behind what was sent before.
 */
class Unsent implements ChunkHolder {
  readonly #sending: SendingHalf
  readonly #output: SendQueue
  readonly #end: number
  /** `bytesSent` of the send queue when all these bytes were included. */
  #sentBytes: number | undefined

  constructor(sending: SendingHalf, output: SendQueue) {
    this.#sending = sending
    this.#output = output
    this.#end = sending.writtenBytes
  }

  get drained(): boolean {
    if (this.#output.isFlushing) return false
    if (this.#sending.writtenBytes - this.#sending.queuedBytes < this.#end) return false
    this.#sentBytes ??= this.#output.bytesSent
    return this.#output.bytesSent - this.#output.unsentBytes >= this.#sentBytes
  }
}
