/**
 * The least a visitor has to send of its bodies and to take of its answers. Each direction has an allowance of
 * time: it begins with the grace, every byte adds to it, and the time in which the visitor could move bytes and
 * does not is taken from it. So a connection that has moved much may pause for longer, up to a bound.
 *
 * Kestrel (`MinRequestBodyDataRate`) and IIS (`minBytesPerSecond`) ask for 240 bytes per second, Apache's
 * mod_reqtimeout for 500 after 20 s; nginx lets a visitor pause for 60 s (`send_timeout`).
 */

import type { Deadlines, Expiring } from './deadlines.ts'
import type { ResolvedProxyOptions } from './proxy-options.ts'

/** Between two looks, ms. */
const LOOK_MS = 1_000

/** A look that comes later than this many counts as so many. */
const MAX_LOOKS_LATE = 2

/** The options that the rule is made of. */
export type MinRateOptions = Pick<
  ResolvedProxyOptions,
  'minRate' | 'minRateGraceMs' | 'idleTimeoutMs'
>

/** One direction of a connection. */
export class RateAllowance {
  readonly #options: MinRateOptions
  #leftMs: number
  #seenBytes = 0
  #wasDue = false

  constructor(options: MinRateOptions) {
    this.#options = options
    this.#leftMs = this.#graceMs
  }

  /**
   * A look at a visitor that has to move bytes.
   *
   * @param bytes - moved since the start of the connection.
   * @param elapsedMs - since the last look.
   * @returns whether the visitor is too slow.
   */
  isUsedUp(bytes: number, elapsedMs: number): boolean {
    const moved = bytes - this.#seenBytes
    this.#seenBytes = bytes
    // Neither the time before the first look counts nor what was moved in it: of an answer that is what the kernel
    // holds, whether the visitor reads or not.
    if (!this.#wasDue) {
      this.#wasDue = true
      return false
    }
    const { minRate } = this.#options
    if (moved > 0) this.#leftMs = Math.min(this.#mostMs, this.#leftMs + (moved * 1000) / minRate)
    this.#leftMs -= elapsedMs
    return this.#leftMs <= 0
  }

  /** A look at a visitor that has nothing to move, or cannot. */
  rest(): void {
    this.#wasDue = false
    this.#leftMs = Math.max(this.#leftMs, this.#graceMs)
  }

  /** Without a rate, a visitor that moves anything at all has its whole time again. */
  get #graceMs(): number {
    const { minRate, minRateGraceMs, idleTimeoutMs } = this.#options
    return minRate === 0 ? idleTimeoutMs : minRateGraceMs
  }

  /** Longest pause, whatever was moved before. */
  get #mostMs(): number {
    return Math.max(this.#graceMs, this.#options.idleTimeoutMs)
  }
}

/** Looks at each of many connections, about once a second. */
export class RateLooks implements Expiring {
  deadline: number
  readonly #deadlines: Deadlines
  readonly #lookMs: number
  readonly #look: (elapsedMs: number) => void
  #lookedAtMs: number

  /** @param look - looks at all of them; `elapsedMs` is the time since the last look. */
  constructor(
    deadlines: Deadlines,
    { minRateGraceMs, idleTimeoutMs }: MinRateOptions,
    look: (elapsedMs: number) => void,
  ) {
    this.#deadlines = deadlines
    this.#lookMs = Math.min(LOOK_MS, minRateGraceMs / 4, idleTimeoutMs / 4)
    this.#look = look
    this.#lookedAtMs = deadlines.now
    this.deadline = deadlines.now + this.#lookMs
  }

  /** @inheritdoc */
  expire(): void {
    const { now } = this.#deadlines
    // In a longer time this process was not running, and the visitor may not be to blame.
    const elapsedMs = Math.min(now - this.#lookedAtMs, this.#lookMs * MAX_LOOKS_LATE)
    this.#lookedAtMs = now
    this.deadline = now + this.#lookMs
    this.#look(elapsedMs)
  }
}
