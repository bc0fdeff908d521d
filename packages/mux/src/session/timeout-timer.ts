/**
 * The only timer of a session. Timeouts are checked once per sweep, so a stream needs no timer of its
 * own; they fire up to one sweep late, never early. The timer runs only while there is something to
 * check.
 */
import type { ResolvedSessionOptions } from './options.ts'

const MAX_SWEEP_MS = 1000
const MIN_SWEEP_MS = 10

/** Calls `tick` repeatedly until it returns false. */
export class TimeoutTimer {
  readonly #options: ResolvedSessionOptions
  readonly #tick: (nowMs: number) => boolean
  readonly #everyMs: number
  #cancel: (() => void) | undefined
  #nextAtMs = 0

  constructor(options: ResolvedSessionOptions, tick: (nowMs: number) => boolean) {
    this.#options = options
    this.#tick = tick
    const shortestMs = Math.min(
      options.ackTimeoutMs,
      options.halfClosedTimeoutMs,
      options.keepAliveIntervalMs,
      options.keepAliveTimeoutMs,
    )
    this.#everyMs = Math.min(MAX_SWEEP_MS, Math.max(MIN_SWEEP_MS, shortestMs / 4))
  }

  /**
   * Starts the timer if it is stopped.
   *
   * @returns the time of the next sweep, from which new timeouts count.
   */
  arm(): number {
    if (this.#cancel !== undefined) return this.#nextAtMs
    this.#nextAtMs = this.#options.clock.now() + this.#everyMs
    this.#cancel = this.#options.clock.after(this.#everyMs, this.#run)
    return this.#nextAtMs
  }

  /** Stops the timer until `arm`. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  readonly #run = (): void => {
    this.#cancel = undefined
    if (this.#tick(this.#options.clock.now())) this.arm()
  }
}
