/** Bytes of one stream that wait to be sent: buffers as they were given, cut without copying. */
import { Fifo } from './fifo.ts'

/** Ordered chunks with their total length. */
export class SendBuffer {
  readonly #chunks = new Fifo<Buffer>()
  #offset = 0
  #bytes = 0

  /** Bytes waiting. */
  get bytes(): number {
    return this.#bytes
  }

  /** Adds a chunk; it must not be changed until it is sent. */
  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
  }

  /** Removes the first piece, at most `maxBytes` long, which must be at least 1. */
  take(maxBytes: number): Buffer {
    const chunk = this.#chunks.peek()
    if (chunk === undefined) throw new RangeError('take() from an empty SendBuffer')
    const end = Math.min(chunk.length, this.#offset + maxBytes)
    const whole = this.#offset === 0 && end === chunk.length
    const piece = whole ? chunk : chunk.subarray(this.#offset, end)
    this.#bytes -= piece.length
    if (end === chunk.length) {
      this.#chunks.shift()
      this.#offset = 0
    } else {
      this.#offset = end
    }
    return piece
  }

  /** Drops everything. */
  clear(): void {
    this.#chunks.clear()
    this.#offset = 0
    this.#bytes = 0
  }
}
