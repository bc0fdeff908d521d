/**
 * Received bytes that nobody has taken yet. A piece is a view of a transport chunk and keeps the
 * whole chunk alive, and a peer may cut its data into single bytes; so small pieces are copied
 * together into blocks, and memory stays near the number of bytes held.
 */
import { Fifo } from '../fifo.ts'

/** Pieces of at least this many bytes are kept as they are: copying them costs more than it saves. */
const KEEP_BYTES = 8192
const BLOCK_BYTES = 16_384

/** Ordered pieces with their total length. */
export class HeldBytes {
  readonly #pieces = new Fifo<Buffer>()
  #block: Buffer | undefined
  #blockStart = 0
  #blockEnd = 0
  #bytes = 0

  /** Bytes held. */
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

  // The rest of the block stays in use for what comes next.
  #seal(): void {
    if (this.#block === undefined || this.#blockEnd === this.#blockStart) return
    this.#pieces.push(this.#block.subarray(this.#blockStart, this.#blockEnd))
    this.#blockStart = this.#blockEnd
  }
}
