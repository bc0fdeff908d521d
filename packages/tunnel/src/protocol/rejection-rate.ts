/** Rejected answers that a server tells its agent of at once, in one session, and that it may again each second. */
export const TOLD_REJECTED = { atOnce: 10, perSecond: 1 } as const

/** Those that an agent takes: messages that were sent apart may arrive together. */
export const TAKEN_REJECTED = { atOnce: 20, perSecond: 2 } as const

/** Limits how many rejected answers are told of, or logged: a service may be wrong in each of its answers. */
export class RejectionRate {
  readonly #atOnce: number
  readonly #perSecond: number
  #left: number
  #countedAtMs = performance.now()

  constructor({ atOnce, perSecond }: { readonly atOnce: number; readonly perSecond: number }) {
    this.#atOnce = atOnce
    this.#perSecond = perSecond
    this.#left = atOnce
  }

  /** Counts one; false when it is too many. */
  take(): boolean {
    const nowMs = performance.now()
    const gained = ((nowMs - this.#countedAtMs) / 1000) * this.#perSecond
    this.#countedAtMs = nowMs
    this.#left = Math.min(this.#atOnce, this.#left + gained)
    if (this.#left < 1) return false
    this.#left -= 1
    return true
  }
}
