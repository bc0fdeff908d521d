/**
 * The buffers of one batch of frames while it is made: headers and small payloads are copied into a
 * slab, one behind the other, large payloads go as they were given.
 */
import { noteFree } from '../lent-memory.ts'
import { HEADER_BYTES, writeHeader } from './frame.ts'

/** Payloads up to this are copied behind their header: cheaper than one more buffer to write. */
const COPY_BYTES = 2048
/** Half a batch of small payloads: more is rare. */
const SLAB_BYTES = 131_072
/** Slabs that wait for a batch; more are left to the collector. */
const MAX_IDLE_SLABS = 8
/** Batches that may be open over a turn of the event loop, of all sessions together: 2 MiB of slabs. */
const MAX_OPEN_BATCHES = 16
/** How much a batch that is open over a turn may hold: it stays within one slab. */
const MAX_OPEN_BYTES = 65_536

/** Memory that one batch at a time writes into, and where the next one begins. */
interface Slab {
  readonly memory: Buffer
  used: number
}

// Shared by all sessions, as Buffer's own pool is: a slab per session would cost idle ones 128 KiB.
const idleSlabs: Slab[] = []
let openBatches = 0

/** Makes one batch after another: from its first frame over `take` to `done`. */
export class Batch {
  #buffers: Buffer[] = []
  #slab: Slab | undefined
  /** Where the batch begins in its slab. */
  #start = 0
  /** Where what goes into the next buffer begins; -1 while there is none of it. */
  #runStart = -1
  #bytes = 0

  /** Bytes in it so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether a frame of that size may be put in now although the batch is taken only later. */
  mayStayOpen(bytes: number): boolean {
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

  /** Appends a piece of payload, which must not be changed until it is sent; returns its length. */
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
   * What was taken is written, or was dropped. Its memory serves again where nothing refers to it: fresh
   * memory for each batch would be most of the garbage collector's work.
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

  // Opens a run in the slab, or goes on with the one that ends where the slab is used up to.
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
