/**
 * Bounds how far receive windows may grow together. What a window holds above the 256 KiB that the
 * protocol gives to every stream is taken from the session's budget, and that takes it from the
 * budget it is part of, which an application shares between all its sessions. Credit granted cannot
 * be called back, so the budget counts what was granted, not what happens to be buffered: it is a
 * bound on memory whatever the peers do.
 */

/** Bytes that receive windows may hold together above the base window of each stream. */
export class WindowBudget {
  /** Bytes that may be taken. */
  readonly maxBytes: number
  readonly #parent: WindowBudget | undefined
  #usedBytes = 0
  #holders = 0
  #isWanted = false

  /**
   * @param maxBytes - at least 0; `Infinity` for no bound.
   * @param parent - wider budget that everything taken here counts against as well.
   * @throws {RangeError} when `maxBytes` is not a number of at least 0.
   */
  constructor(maxBytes: number, parent?: WindowBudget) {
    if (!(maxBytes >= 0)) throw new RangeError(`maxBytes must be at least 0, got ${maxBytes}`)
    this.maxBytes = maxBytes
    this.#parent = parent
  }

  /** Bytes taken now. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Bytes that can still be taken. */
  get freeBytes(): number {
    return Math.min(this.maxBytes - this.#usedBytes, this.#parent?.freeBytes ?? Infinity)
  }

  /**
   * What one window may keep: everything, until one with less than an equal share asks for more and
   * there is none left. Then windows which grew first make room for those that came later.
   */
  get shareBytes(): number {
    const own = this.#isWanted ? this.#equalShare : Infinity
    return Math.min(own, this.#parent?.shareBytes ?? Infinity)
  }

  /** @internal Takes up to `bytes` for a window that has `had`; returns what it got. */
  take(bytes: number, had: number): number {
    const got = Math.max(0, Math.min(bytes, this.freeBytes))
    if (got < bytes) this.#noteWant(bytes, had + got)
    if (got > 0) this.#change(got, had === 0 ? 1 : 0)
    return got
  }

  /** @internal Gives `bytes` back from a window that keeps `left`. */
  give(bytes: number, left: number): void {
    if (bytes > 0) this.#change(-bytes, left === 0 ? -1 : 0)
  }

  get #equalShare(): number {
    return this.maxBytes / (this.#holders + 1)
  }

  // Whoever goes without may come back for what others give.
  #noteWant(bytes: number, has: number): void {
    if (this.maxBytes - this.#usedBytes < bytes && has < this.#equalShare) this.#isWanted = true
    const parent = this.#parent
    if (parent !== undefined) parent.#noteWant(bytes, has)
  }

  #change(bytes: number, holders: number): void {
    this.#usedBytes += bytes
    this.#holders += holders
    if (bytes < 0) this.#isWanted = false
    const parent = this.#parent
    if (parent !== undefined) parent.#change(bytes, holders)
  }
}
