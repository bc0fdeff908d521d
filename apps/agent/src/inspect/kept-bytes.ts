/** The first bytes of a body or of a connection, copied: chunks of sockets are memory that is read into again. */

/** Smallest memory of a body, bytes. */
const MIN_BYTES = 1024

/** Largest memory that is used again, bytes, and how much of it waits for that at most. */
const MAX_REUSED_BYTES = 64 * 1024
const MAX_WAITING_BYTES = 1024 * 1024

/**
 * Memory of bodies that are no longer kept, overwritten, by its size: a new body takes it. To take memory from the
 * system for each body, and to have it collected, costs more than everything else that is done for a short one.
 */
const free = new Map<number, Buffer[]>()
let waitingBytes = 0

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

  /** The kept bytes; valid until more are added, or they are cleared: copy what is used later. */
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
    if (this.#memory !== undefined) giveBack(this.#memory.fill(0, 0, this.#kept))
    this.#memory = undefined
    this.#kept = 0
    this.#isFull = true
  }

  #grow(wanted: number, charge: Charge): boolean {
    const size = this.#memory?.length ?? 0
    if (size >= wanted) return true
    const larger = Math.min(this.#limit, sizeFor(Math.max(wanted, size * 2)))
    if (!charge(larger - size)) return false
    const memory = takeMemory(larger)
    if (this.#memory !== undefined) {
      this.#memory.copy(memory, 0, 0, this.#kept)
      giveBack(this.#memory.fill(0, 0, this.#kept))
    }
    this.#memory = memory
    return true
  }
}

/** The next power of two, at least MIN_BYTES: sizes that are used again. */
function sizeFor(bytes: number): number {
  return bytes <= MIN_BYTES ? MIN_BYTES : 2 ** (32 - Math.clz32(bytes - 1))
}

/** Memory of a size, with zeros or with what was there before. */
function takeMemory(bytes: number): Buffer {
  const waiting = free.get(bytes)?.pop()
  // Not of Node's pool: a piece of that keeps 8 KiB of others alive.
  if (waiting === undefined) return Buffer.allocUnsafeSlow(bytes)
  waitingBytes -= bytes
  return waiting
}

/** @param memory - overwritten. */
function giveBack(memory: Buffer): void {
  const bytes = memory.length
  if (bytes > MAX_REUSED_BYTES || waitingBytes + bytes > MAX_WAITING_BYTES) return
  const isPower = (bytes & (bytes - 1)) === 0 // the others are hardly asked for again
  if (!isPower) return
  const waiting = free.get(bytes)
  if (waiting === undefined) free.set(bytes, [memory])
  else waiting.push(memory)
  waitingBytes += bytes
}
