/** The first bytes of a body or of a connection, copied: chunks of sockets are memory that is read into again. */

/** Smallest memory of a body, bytes. */
const MIN_BYTES = 1024

/** What is asked before memory is taken. */
export type Charge = (bytes: number) => boolean

/** The first bytes of something that may be longer. */
export class KeptBytes {
  /** Bytes that crossed. */
  bytes = 0
  readonly #limit: number
  #memory: Buffer | undefined
  #kept = 0
  #isFull = false

  /** @param limit - most bytes that are kept. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Bytes that are kept. */
  get kept(): number {
    return this.#kept
  }

  /** Whether not all bytes were kept. */
  get isCut(): boolean {
    return this.bytes > this.#kept
  }

  /** The kept bytes; valid until more are added. */
  get content(): Buffer {
    return this.#memory?.subarray(0, this.#kept) ?? Buffer.alloc(0)
  }

  /**
   * Copies as much of the chunk as there is room for.
   *
   * @param charge - asked for the memory; when it refuses, nothing more is kept.
   */
  add(chunk: Buffer, charge: Charge): void {
    this.bytes += chunk.length
    if (this.#isFull) return
    const wanted = Math.min(this.#kept + chunk.length, this.#limit)
    if (wanted === this.#kept || !this.#grow(wanted, charge)) {
      this.#isFull = true
      return
    }
    chunk.copy(this.#memory as Buffer, this.#kept, 0, wanted - this.#kept)
    this.#kept = wanted
    if (wanted === this.#limit) this.#isFull = true
  }

  /** Overwrites and frees the memory. */
  clear(): void {
    this.#memory?.fill(0)
    this.#memory = undefined
    this.#kept = 0
    this.#isFull = true
  }

  #grow(wanted: number, charge: Charge): boolean {
    const size = this.#memory?.length ?? 0
    if (size >= wanted) return true
    const larger = Math.min(this.#limit, Math.max(MIN_BYTES, wanted, size * 2))
    if (!charge(larger - size)) return false
    // Not of the pool: a pooled piece keeps 8 KiB of others alive.
    const memory = Buffer.allocUnsafeSlow(larger)
    this.#memory?.copy(memory, 0, 0, this.#kept)
    this.#memory = memory
    return true
  }
}
