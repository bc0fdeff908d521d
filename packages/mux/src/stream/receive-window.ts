/**
 * Credit of one stream, receiving side: pure arithmetic.
 *
 *     limit = credit (peer may still send) + held (received, not consumed) + returnable
 *
 * Credit is returned when the consumer has consumed, and only once it is worth a frame: half of the
 * base window, as peers do it, or a quarter of a larger one. What is kept back is missing from the
 * window, so for large windows half would be too much. The limit follows the path: if a stream
 * consumed more per round trip than half its window, the window is what holds it back. The target is
 *
 *     rate x (2 x smallest round trip + 0.5 ms)
 *
 * Twice the round trip, so that a window that holds its stream back doubles. The half millisecond
 * covers the turns of both event loops, without which a window could never outgrow its start on a
 * loopback path. It is also what bounds how long a small message may wait behind a bulk stream on a
 * fast path: no more than half a millisecond of bytes is under way beyond what the path holds.
 */
import { BASE_WINDOW_BYTES } from '../frame/frame.ts'
import type { WindowBudget } from './window-budget.ts'

const LOOP_MS = 0.5
const MIN_RETURN_BYTES = BASE_WINDOW_BYTES / 2

/** Counts credit, bytes held and the room to grow. */
export class ReceiveWindow {
  #limit = BASE_WINDOW_BYTES
  #credit = BASE_WINDOW_BYTES
  #held = 0
  #taken = 0
  #epochStartMs = -1
  #epochBytes = 0

  /** Bytes that may be under way or held at once. */
  get limitBytes(): number {
    return this.#limit
  }

  /** Bytes received and not yet consumed. */
  get heldBytes(): number {
    return this.#held
  }

  /** Bytes this window holds of the budget. */
  get takenBytes(): number {
    return this.#taken
  }

  /** Counts `bytes` the peer declared; false when it has no credit for them. */
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

  /** Whether enough was consumed for a credit frame to be worth sending. */
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

  /** Raises the limit to `bytes`, or as near as `budget` allows. */
  growTo(bytes: number, budget: WindowBudget): void {
    if (bytes <= this.#limit) return
    const got = budget.take(bytes - this.#limit, this.#taken)
    this.#taken += got
    this.#limit += got
  }

  /**
   * Fits the limit to the rate seen since the last call that was a round trip ago. Called where
   * credit is due, so that a stream which is not read, or not written, does not grow.
   *
   * @param nowMs - monotonic clock.
   * @param rttMs - smallest round trip seen; undefined while there is none.
   */
  tune(nowMs: number, rttMs: number | undefined, maxBytes: number, budget: WindowBudget): void {
    if (rttMs === undefined) return
    const elapsedMs = nowMs - this.#epochStartMs
    const shrunk = this.#shrink(BASE_WINDOW_BYTES + budget.shareBytes, budget)
    // What was just given must not be taken back before others had their turn.
    if (this.#epochStartMs >= 0 && !shrunk) {
      if (elapsedMs < Math.max(rttMs, LOOP_MS)) return
      const target = (this.#epochBytes / elapsedMs) * (2 * rttMs + LOOP_MS)
      this.growTo(Math.min(Math.floor(target), maxBytes), budget)
    }
    this.#epochStartMs = nowMs
    this.#epochBytes = 0
  }

  /** Gives everything back to `budget`; the window is of no more use. */
  release(budget: WindowBudget): void {
    budget.give(this.#taken, 0)
    this.#taken = 0
  }

  // Credit that is out cannot be called back: only what is returnable can leave the budget now.
  // The rest follows at later calls, as the peer uses its credit up.
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
