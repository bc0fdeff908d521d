/**
 * Received bytes that wait for a reader. A piece is a view that keeps its whole transport chunk alive,
 * and a peer may send single bytes. So small pieces are copied together into blocks, and the memory
 * used stays near the number of bytes held.
 */
import { Fifo } from '../fifo.ts'

/** Shortest piece that is not copied: a copy would cost more than it saves. */
const KEEP_BYTES = 8192
const BLOCK_BYTES = 16_384

/** Ordered pieces with their total length. */
export class HeldBytes {
  readonly #pieces = new Fifo<Buffer>()
  #block: Buffer | undefined
  #blockStart = 0
  #blockEnd = 0
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Adds a piece at the end. */
  push(piece: Buffer): void {
    this.#bytes += piece.length
    if (piece.length >= KEEP_BYTES) {
      this.#seal()
      this.#pieces.push(piece)
      return
    }
    if (this.#block === undefined || this.#block.length - this.#blockEnd < piece.length) {
      this.#seal()
      this.#block = Buffer.allocUnsafe(BLOCK_BYTES)
      this.#blockStart = 0
      this.#blockEnd = 0
    }
    this.#blockEnd += piece.copy(this.#block, this.#blockEnd)
  }

  /** Removes the first piece; undefined when there is none. */
  shift(): Buffer | undefined {
    if (this.#pieces.size === 0) this.#seal()
    const piece = this.#pieces.shift()
    if (piece !== undefined) this.#bytes -= piece.length
    return piece
  }

  /** Drops everything; returns how many bytes that was. */
  clear(): number {
    const bytes = this.#bytes
    this.#pieces.clear()
    this.#block = undefined
    this.#blockStart = 0
    this.#blockEnd = 0
    this.#bytes = 0
    return bytes
  }

  // The rest of the block is used for the next pieces.
  #seal(): void {
    if (this.#block === undefined || this.#blockEnd === this.#blockStart) return
    this.#pieces.push(this.#block.subarray(this.#blockStart, this.#blockEnd))
    this.#blockStart = this.#blockEnd
  }
}
