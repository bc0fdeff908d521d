/**
 * The buffers of one batch of frames while it is made: headers and small payloads are copied into a
 * slab, one behind the other, large payloads go as they were given.
 */
import { HEADER_BYTES, writeHeader } from './frame.ts'

/** Payloads up to this are copied behind their header: cheaper than one more buffer to write. */
const COPY_BYTES = 2048
/** Half a batch of small payloads: more is rare. */
const SLAB_BYTES = 131_072

// Shared by all sessions, as Buffer's own pool is: a slab per session would cost idle ones 128 KiB.
let slab: Buffer = Buffer.alloc(0)
let slabUsed = 0

/** Makes one batch after another. From the first frame of one to `take` no other `Batch` may be used. */
export class Batch {
  #buffers: Buffer[] = []
  #isBegun = false
  /** Where the batch began, or the one that was taken last. */
  #firstSlab = slab
  #start = 0
  /** Where the one that was taken last ended. */
  #lastSlab = slab
  #end = 0
  /** Where what goes into the next buffer begins; -1 while there is none of it. */
  #runStart = -1

  /** Appends a frame's header. */
  header(type: number, flags: number, streamId: number, length: number): void {
    this.#reserve(HEADER_BYTES)
    writeHeader(slab, slabUsed, type, flags, streamId, length)
    slabUsed += HEADER_BYTES
  }

  /** Appends a piece of payload, which must not be changed until it is sent; returns its length. */
  payload(piece: Buffer): number {
    if (piece.length <= COPY_BYTES) {
      this.copy(piece, piece.length)
    } else {
      this.#seal()
      this.#buffers.push(piece)
    }
    return piece.length
  }

  /** Appends a copy of the first `bytes` of `from`. */
  copy(from: Buffer, bytes: number): void {
    this.#reserve(bytes)
    from.copy(slab, slabUsed, 0, bytes)
    slabUsed += bytes
  }

  /** Ends the batch and returns its buffers, in order. */
  take(): readonly Buffer[] {
    this.#seal()
    this.#begin()
    const buffers = this.#buffers
    this.#buffers = []
    this.#isBegun = false
    this.#lastSlab = slab
    this.#end = slabUsed
    return buffers
  }

  /**
   * Nothing refers to the batch that was taken last: its part of the slab serves again, unless somebody
   * wrote behind it. Fresh memory for each batch would be most of the garbage collector's work.
   */
  reuse(): void {
    if (this.#lastSlab !== slab || this.#end !== slabUsed) return
    slabUsed = this.#firstSlab === slab ? this.#start : 0
  }

  #begin(): void {
    if (this.#isBegun) return
    this.#isBegun = true
    this.#firstSlab = slab
    this.#start = slabUsed
  }

  // Opens a run in the slab, or goes on with the one that ends where the slab is used up to.
  #reserve(bytes: number): void {
    this.#begin()
    if (slab.length - slabUsed < bytes) {
      this.#seal()
      slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
      slabUsed = 0
      this.#runStart = 0
    } else if (this.#runStart < 0) {
      this.#runStart = slabUsed
    }
  }

  #seal(): void {
    if (this.#runStart >= 0 && slabUsed > this.#runStart) {
      this.#buffers.push(slab.subarray(this.#runStart, slabUsed))
    }
    this.#runStart = -1
  }
}
