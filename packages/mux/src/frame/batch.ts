/**
 * The buffers of one batch of frames. Headers and small payloads are copied one after the other into a
 * slab; large payloads are passed on as they are.
 */
import { noteFree } from '../lent-memory.ts'
import { HEADER_BYTES, writeHeader } from './frame.ts'

/** Payloads up to this are copied behind their header: cheaper than one more buffer to write. */
const COPY_BYTES = 2048
/** Half a batch; batches with more small payloads than that are rare. */
const SLAB_BYTES = 131_072
/** Unused slabs that are kept; the garbage collector gets the rest. */
const MAX_IDLE_SLABS = 8
/** Batches of all sessions that may stay open for a turn of the event loop: 2 MiB of slabs. */
const MAX_OPEN_BATCHES = 16
/** Most that a batch may hold while it stays open for a turn: it fits one slab. */
const MAX_OPEN_BYTES = 65_536

/** Memory for one batch at a time. The next batch starts at `used`. */
interface Slab {
  readonly memory: Buffer
  used: number
}

// Shared by all sessions, as Buffer's own pool is: a slab per session would cost idle ones 128 KiB.
const idleSlabs: Slab[] = []
let openBatches = 0

/** Builds one batch after another: add frames, `take` the buffers, then call `done`. */
export class Batch {
  #buffers: Buffer[] = []
  #slab: Slab | undefined
  /** Offset of the batch in its slab. */
  #start = 0
  /** Offset of the current run, which becomes one buffer; -1 while there is none. */
  #runStart = -1
  #bytes = 0

  /** Bytes added so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether a payload of this size may be added now and taken at the end of the turn. */
  canStayOpen(bytes: number): boolean {
    if (this.#slab === undefined) return openBatches < MAX_OPEN_BATCHES
    return this.#bytes + bytes + HEADER_BYTES <= MAX_OPEN_BYTES
  }

  /** Appends a frame's header. */
  header(type: number, flags: number, streamId: number, length: number): void {
    const slab = this.#reserve(HEADER_BYTES)
    writeHeader(slab.memory, slab.used, type, flags, streamId, length)
    slab.used += HEADER_BYTES
    this.#bytes += HEADER_BYTES
  }

  /** Appends a piece of payload, which must not change until it is sent; returns its length. */
  payload(piece: Buffer): number {
    if (piece.length <= COPY_BYTES) {
      this.copy(piece, piece.length)
    } else {
      this.#seal()
      this.#buffers.push(piece)
      this.#bytes += piece.length
    }
    return piece.length
  }

  /** Appends a copy of the first `bytes` of `from`. */
  copy(from: Buffer, bytes: number): void {
    const slab = this.#reserve(bytes)
    from.copy(slab.memory, slab.used, 0, bytes)
    slab.used += bytes
    this.#bytes += bytes
  }

  /** Ends the batch and returns its buffers, in order; `done` follows. */
  take(): readonly Buffer[] {
    this.#seal()
    const buffers = this.#buffers
    this.#buffers = []
    this.#bytes = 0
    return buffers
  }

  /**
   * The buffers taken were written, or dropped. With `isFree` nothing refers to them, and the next batch
   * uses the same memory: new memory for each batch was most of the garbage collector's work.
   */
  done(isFree: boolean): void {
    const slab = this.#slab
    if (slab === undefined) return
    this.#slab = undefined
    openBatches -= 1
    if (isFree) {
      noteFree(slab.memory, this.#start, slab.used)
      slab.used = this.#start
    }
    if (idleSlabs.length < MAX_IDLE_SLABS) idleSlabs.push(slab)
  }

  // Starts a run, or continues the current one, which always ends at `slab.used`.
  #reserve(bytes: number): Slab {
    let slab = this.#slab
    if (slab === undefined || slab.memory.length - slab.used < bytes) {
      this.#seal()
      if (slab === undefined) openBatches += 1
      slab = slabFor(bytes)
      this.#slab = slab
      this.#start = slab.used
    }
    if (this.#runStart < 0) this.#runStart = slab.used
    return slab
  }

  #seal(): void {
    const slab = this.#slab
    if (slab !== undefined && this.#runStart >= 0) {
      this.#buffers.push(slab.memory.subarray(this.#runStart, slab.used))
    }
    this.#runStart = -1
  }
}

function slabFor(bytes: number): Slab {
  const last = idleSlabs.pop()
  if (last !== undefined && last.memory.length - last.used >= bytes) return last
  return { memory: Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes)), used: 0 }
}
