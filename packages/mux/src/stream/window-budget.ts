/**
 * Bounds how far receive windows may grow together. Bytes above the 256 KiB that yamux gives every
 * stream are taken from the session's budget and from its parent, which an application shares between
 * its sessions. Credit that was granted cannot be revoked, so the budget counts grants and not buffered
 * bytes: it bounds memory whatever the peers do.
 */

/** Bytes that receive windows may have together above 262144 each. */
export class WindowBudget {
  /** Bytes that may be taken. */
  readonly maxBytes: number
  readonly #parent: WindowBudget | undefined
  #usedBytes = 0
  #holders = 0
  #isWanted = false

  /**
   * @param maxBytes - at least 0; `Infinity` for no bound.
   * @param parent - larger budget from which everything is taken as well.
   * @throws {RangeError} when `maxBytes` is not a number of at least 0.
   */
  constructor(maxBytes: number, parent?: WindowBudget) {
    if (!(maxBytes >= 0)) throw new RangeError(`maxBytes must be at least 0, got ${maxBytes}`)
    this.maxBytes = maxBytes
    this.#parent = parent
  }

  /** Bytes that windows have taken now. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Bytes that can still be taken. */
  get freeBytes(): number {
    return Math.min(this.maxBytes - this.#usedBytes, this.#parent?.freeBytes ?? Infinity)
  }

  /**
   * Bytes that one window may keep: no limit, until a window with less than an equal share wants more
   * and none is left. Then windows that grew first give way to later ones.
   */
  get shareBytes(): number {
    const own = this.#isWanted ? this.#equalShare : Infinity
    return Math.min(own, this.#parent?.shareBytes ?? Infinity)
  }

  /** @internal Takes up to `bytes` for a window that has `had`; returns how many. */
  take(bytes: number, had: number): number {
    const got = Math.max(0, Math.min(bytes, this.freeBytes))
    if (got < bytes) this.#noteWant(bytes, had + got)
    if (got > 0) this.#change(got, had === 0 ? 1 : 0)
    return got
  }

  /** @internal Returns `bytes` of a window that keeps `left`. */
  give(bytes: number, left: number): void {
    if (bytes > 0) this.#change(-bytes, left === 0 ? -1 : 0)
  }

  get #equalShare(): number {
    return this.maxBytes / (this.#holders + 1)
  }

  // A window that got less than it wanted asks again later, when others have given way.
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
