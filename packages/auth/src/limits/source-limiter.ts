import { sourceOf } from '@proj/config/address'

/** How often one source may do something. */
export interface SourceLimiterOptions {
  /** Times in a row, 1 or more. */
  readonly burst: number
  /** Times per minute in the long run, above 0. */
  readonly perMinute: number
  /** Sources that are remembered; beyond it the least recently active one is forgotten. Default 10 000. */
  readonly maxSources?: number
  /** Milliseconds that only ever grow. Default: `performance.now`. */
  readonly now?: () => number
}

/** Far above the sources that come in one minute, some MB. */
const MAX_SOURCES = 10_000

/** Wrong credentials that one visitor may present to the gates of a process: 10, then one every 6 s. */
export const VISITOR_FAILURES: Readonly<SourceLimiterOptions> = Object.freeze({
  burst: 10,
  perMinute: 10,
})

/**
 * Counts what each source does: an IPv4 address, or a /64 of IPv6, which is what one subscriber has.
 * A bucket of `burst` is refilled at `perMinute`; all that is kept of it is when it will be full again.
 */
export class SourceLimiter {
  readonly #burstMs: number
  readonly #intervalMs: number
  readonly #maxSources: number
  readonly #now: () => number
  /** When the bucket of a source is full again; in order of the last change. */
  readonly #fullAt = new Map<string, number>()

  /** @throws {RangeError} naming the option that is out of its range. */
  constructor(options: SourceLimiterOptions) {
    const { burst, perMinute, maxSources = MAX_SOURCES, now = () => performance.now() } = options
    for (const [name, value] of Object.entries({ burst, perMinute, maxSources })) {
      if (!(value > 0)) throw new RangeError(`${name} must be above 0, got ${value}`)
    }
    this.#intervalMs = 60_000 / perMinute
    this.#burstMs = this.#intervalMs * burst
    this.#maxSources = maxSources
    this.#now = now
  }

  /** Sources that are remembered now. */
  get size(): number {
    return this.#fullAt.size
  }

  /** How long a source has to wait, ms; 0: it may act now. Takes nothing. */
  waitMs(address: string | undefined): number {
    const now = this.#now()
    const fullAt = this.#fullAt.get(sourceOf(address)) ?? now
    // Rounded, because sums of fractions miss a full bucket by less than a millisecond.
    return Math.max(0, Math.ceil(fullAt - now + this.#intervalMs - this.#burstMs - 0.001))
  }

  /**
   * Takes one token from the bucket, if there is one.
   *
   * @returns 0 when it was taken, else how long the source has to wait, ms.
   */
  tryTake(address: string | undefined): number {
    const waitMs = this.waitMs(address)
    if (waitMs === 0) this.take(address)
    return waitMs
  }

  /** Takes one time, whether or not there is one left. */
  take(address: string | undefined): void {
    const source = sourceOf(address)
    const now = this.#now()
    const fullAt = Math.max(this.#fullAt.get(source) ?? now, now)
    this.#fullAt.delete(source)
    this.#fullAt.set(source, Math.min(fullAt + this.#intervalMs, now + this.#burstMs))
    this.#forget(now)
  }

  /** Gives back one time that was taken; without one taken it changes nothing. */
  giveBack(address: string | undefined): void {
    const source = sourceOf(address)
    const now = this.#now()
    const fullAt = (this.#fullAt.get(source) ?? now) - this.#intervalMs
    if (fullAt <= now) this.#fullAt.delete(source)
    else this.#fullAt.set(source, fullAt)
  }

  #forget(now: number): void {
    for (const [source, fullAt] of this.#fullAt) {
      if (fullAt > now && this.#fullAt.size <= this.#maxSources) return
      this.#fullAt.delete(source)
    }
  }
}
