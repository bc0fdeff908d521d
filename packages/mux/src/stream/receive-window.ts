/**
 * The receive window of one stream: pure arithmetic.
 *
 *     limit = credit (peer may still send) + held (received, not consumed) + returnable
 *
 * Credit is returned when bytes are consumed, and only when it is worth a frame: half of the base
 * window, as other implementations do, or a quarter of a larger one. Credit that is not returned yet
 * makes the window smaller, so for large windows half would be too much. The limit follows the path:
 * if a stream consumed more per round trip than half its window, the window limits it. The target is
 *
 *     rate x (2 x round trip + 0.5 ms)
 *
 * Twice the round trip, so that a window that limits its stream doubles; on a long path four times while next
 * to nothing waits here, so that a fast stream needs two rounds to its full rate and not five. The half millisecond covers
 * the turns of both event loops; without it a window would never grow on loopback. It also bounds how
 * long a small message waits behind a bulk stream on a fast path: at most half a millisecond of bytes
 * is in flight beyond what the path holds. On a long path a stream begins with a large window, so that
 * what is small enough for it takes one round trip. `Pings` says which round trip counts.
 */
import { BASE_WINDOW_BYTES } from '../frame/frame.ts'
import type { WindowBudget } from './window-budget.ts'

const LOOP_MS = 0.5
/** Round trips that a window is sized for. */
const ROUNDS = 2
/** On a long path, while no more than this part of the window is held: the network limits the stream, not its reader. */
const LONG_PATH_ROUNDS = 4
const FREE_PART = 1 / 8
const MIN_RETURN_BYTES = BASE_WINDOW_BYTES / 2

/** Counts credit and held bytes, and sizes the window. */
export class ReceiveWindow {
  #limit = BASE_WINDOW_BYTES
  #credit = BASE_WINDOW_BYTES
  #held = 0
  #taken = 0
  #epochStartMs = -1
  #epochBytes = 0

  /** Bytes that may be in flight or held at once. */
  get limitBytes(): number {
    return this.#limit
  }

  /** Bytes received and not yet consumed. */
  get heldBytes(): number {
    return this.#held
  }

  /** Bytes taken from the budget. */
  get takenBytes(): number {
    return this.#taken
  }

  /** Counts `bytes` that the peer declared; false if it has no credit for them. */
  receive(bytes: number): boolean {
    if (bytes > this.#credit) return false
    this.#credit -= bytes
    this.#held += bytes
    return true
  }

  /**
   * Counts `bytes` as consumed.
   *
   * @throws {RangeError} when that is negative or more than is held.
   */
  consume(bytes: number): void {
    if (!(bytes >= 0 && bytes <= this.#held)) {
      throw new RangeError(`consume(${bytes}) with ${this.#held} bytes held`)
    }
    this.#held -= bytes
    this.#epochBytes += bytes
  }

  /** Whether enough was consumed to be worth a WindowUpdate. */
  get due(): boolean {
    const returnable = this.#limit - this.#credit - this.#held
    return returnable >= MIN_RETURN_BYTES && returnable * 4 >= this.#limit
  }

  /** Returns the credit to send now, and counts it as granted. */
  grant(): number {
    const bytes = Math.max(0, this.#limit - this.#credit - this.#held)
    this.#credit += bytes
    return bytes
  }

  /** Raises the limit to `bytes`, or as far as `budget` allows. */
  growTo(bytes: number, budget: WindowBudget): void {
    if (bytes <= this.#limit) return
    const got = budget.take(bytes - this.#limit, this.#taken)
    this.#taken += got
    this.#limit += got
  }

  /** As `growTo`, for a new stream, which gets less than one that has shown what it needs. */
  beginAt(bytes: number, budget: WindowBudget): void {
    if (bytes <= this.#limit) return
    const got = budget.takeFirst(bytes - this.#limit, this.#taken)
    this.#taken += got
    this.#limit += got
  }

  /**
   * Fits the limit to the rate since the last call that was at least a round trip ago. Called when
   * credit is due, so the window of a stream that is idle does not grow.
   *
   * @param nowMs - monotonic clock.
   * @param rttMs - round trip; undefined before the first.
   * @param isLongPath - whether that is much longer than the turns of the event loops. Default: false.
   */
  tune(
    nowMs: number,
    rttMs: number | undefined,
    maxBytes: number,
    budget: WindowBudget,
    isLongPath = false,
  ): void {
    if (rttMs === undefined) return
    const elapsedMs = nowMs - this.#epochStartMs
    const shrunk = this.#shrink(BASE_WINDOW_BYTES + budget.shareBytes, budget)
    // Bytes just returned to the budget must not be taken again before others had a chance.
    if (this.#epochStartMs >= 0 && !shrunk) {
      // Half a window in less than a round trip: it holds the stream back, which need not wait to be told so.
      const isShort = isLongPath && this.#epochBytes * 2 >= this.#limit
      if (elapsedMs < Math.max(isShort ? 0 : rttMs, LOOP_MS)) return
      const isFree = isLongPath && this.#held <= this.#limit * FREE_PART
      const rounds = isFree ? LONG_PATH_ROUNDS : ROUNDS
      const target =
        (this.#epochBytes / elapsedMs) * (rounds * Math.min(rttMs, elapsedMs) + LOOP_MS)
      this.growTo(Math.min(Math.floor(target), maxBytes), budget)
    }
    this.#epochStartMs = nowMs
    this.#epochBytes = 0
  }

  /** Returns everything to `budget`; the window is not used afterwards. */
  release(budget: WindowBudget): void {
    budget.give(this.#taken, 0)
    this.#taken = 0
  }

  // Credit that was granted cannot be revoked, so only returnable bytes can go back to the budget now.
  // The rest follows in later calls, as the peer uses its credit.
  #shrink(bytes: number, budget: WindowBudget): boolean {
    const granted = this.#credit + this.#held
    const limit = Math.max(BASE_WINDOW_BYTES, Math.floor(bytes), granted)
    if (limit >= this.#limit) return false
    const given = Math.min(this.#taken, this.#limit - limit)
    this.#limit -= given
    this.#taken -= given
    budget.give(given, this.#taken)
    return true
  }
}
