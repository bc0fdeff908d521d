import { SourceLimiter } from './source-limiter.ts'

/** How many wrong credentials a source may present. */
export interface FailureLimitOptions {
  /** Failures that are let pass in a row. @default 10 */
  readonly burst?: number
  /** Time after which one more is let pass, ms. @default 6000 */
  readonly refillMs?: number
  /** Sources that are remembered; the one that failed longest ago is forgotten. @default 10000 */
  readonly maxSources?: number
  /** Monotonic time, ms. @default performance.now */
  readonly now?: () => number
}

/**
 * Bounds the failures of each source. An attempt is paid for before it is judged and given back when it
 * was good, so that many attempts at once are no way around it. What a source is, `SourceLimiter` says.
 */
export class FailureLimits {
  readonly #limiter: SourceLimiter

  /** @throws {RangeError} naming the option that is out of its range. */
  constructor(options: FailureLimitOptions = {}) {
    const { burst = 10, refillMs = 6000, ...rest } = options
    this.#limiter = new SourceLimiter({ ...rest, burst, perMinute: 60_000 / refillMs })
  }

  /** Sources remembered now. */
  get size(): number {
    return this.#limiter.size
  }

  /**
   * Pays for an attempt.
   *
   * @returns 0 when it may be made, else the time after which it may, ms.
   */
  take(address: string): number {
    const waitMs = this.#limiter.waitMs(address)
    if (waitMs === 0) this.#limiter.take(address)
    return waitMs
  }

  /** Gives an attempt back: it was good, or could not be judged. */
  giveBack(address: string): void {
    this.#limiter.giveBack(address)
  }
}
