/**
 * Bounds how far receive windows may grow together. Bytes above the 256 KiB that yamux gives every
 * stream are taken from the session's budget and from its parent, which an application shares between
 * its sessions. Credit that was granted cannot be revoked, so the budget counts grants and not buffered
 * bytes: it bounds memory whatever the peers do.
 *
 * A window never gets more than half of what it and the free rest are together, so that streams whose
 * readers are slow or stop, and hold what they were granted, leave something to the next one. New windows
 * share the first half of the budget, each a small part of what is left of it; the second half is for
 * windows whose rate shows that they need more. So any number of slow readers that open at once leaves half of
 * the budget to others.
 */

/** A new window gets one of so many parts of what is left of the first half. */
const FIRST_PARTS = 16

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

  /**
   * @internal Takes up to `bytes` for a window that has `had`. Afterwards at least as much is free as the window
   * has.
   *
   * @returns how many.
   */
  take(bytes: number, had: number): number {
    const got = Math.max(0, Math.min(bytes, this.#roomFor(had)))
    if (got > 0) this.#change(got, had === 0 ? 1 : 0)
    if (got < bytes) this.#noteWant(bytes - got, had + got)
    return got
  }

  /** @internal Takes up to `bytes` for a new window that has `had`; returns how many. */
  takeFirst(bytes: number, had: number): number {
    const got = Math.max(0, Math.min(bytes, Math.floor(this.#firstBytes)))
    if (got > 0) this.#change(got, had === 0 ? 1 : 0)
    return got
  }

  /** @internal Returns `bytes` of a window that keeps `left`. */
  give(bytes: number, left: number): void {
    if (bytes > 0) this.#change(-bytes, left === 0 ? -1 : 0)
  }

  get #firstBytes(): number {
    const half = this.maxBytes === Infinity ? Infinity : this.maxBytes / 2 - this.#usedBytes
    const own = half / FIRST_PARTS
    return this.#parent === undefined ? own : Math.min(own, this.#parent.#firstBytes)
  }

  #ownRoomFor(had: number): number {
    return Math.floor((this.maxBytes - this.#usedBytes - had) / 2)
  }

  #roomFor(had: number): number {
    const own = this.#ownRoomFor(had)
    return this.#parent === undefined ? own : Math.min(own, this.#parent.#roomFor(had))
  }

  get #equalShare(): number {
    return this.maxBytes / (this.#holders + 1)
  }

  // For a window that has `has` and got `bytes` less than it wanted. It asks again later, when others have given way.
  #noteWant(bytes: number, has: number): void {
    if (this.#ownRoomFor(has) < bytes && has < this.#equalShare) this.#isWanted = true
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
