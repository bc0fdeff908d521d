import { createHmac, randomBytes } from 'node:crypto'

import { verifyPassword } from './password.ts'

/** Limits of {@link PasswordChecks}. */
export interface PasswordCheckOptions {
  /** Passwords checked at the same time; each takes 32 MiB and a thread. @default 2 */
  readonly maxRunning?: number
  /** Checks that wait for their turn; one more is rejected. @default 64 */
  readonly maxWaiting?: number
  /** Good passwords that are remembered, by their keyed hash. @default 1024 */
  readonly maxRemembered?: number
  /** How long one is remembered, ms. @default 300000 */
  readonly rememberMs?: number
  /** Monotonic time, ms. @default performance.now */
  readonly now?: () => number
}

/**
 * Checks passwords off the main thread, a few at a time, and remembers the good ones, because browsers send
 * theirs with every request. What is remembered is a hash under a random key of this object.
 */
export class PasswordChecks {
  readonly #maxRunning: number
  readonly #maxWaiting: number
  readonly #maxRemembered: number
  readonly #rememberMs: number
  readonly #now: () => number
  readonly #key = randomBytes(32)
  /** By hash, until when; the one used longest ago comes first. */
  readonly #good = new Map<string, number>()
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(options: PasswordCheckOptions = {}) {
    this.#maxRunning = options.maxRunning ?? 2
    this.#maxWaiting = options.maxWaiting ?? 64
    this.#maxRemembered = options.maxRemembered ?? 1024
    this.#rememberMs = options.rememberMs ?? 300_000
    this.#now = options.now ?? (() => performance.now())
  }

  /** Good passwords remembered now. */
  get remembered(): number {
    return this.#good.size
  }

  /** Whether this password is remembered as that of the verifier. */
  remembers(password: string, verifier: string): boolean {
    const hash = this.#hash(password, verifier)
    const until = this.#good.get(hash)
    if (until === undefined) return false
    this.#good.delete(hash)
    if (until <= this.#now()) return false
    this.#good.set(hash, until)
    return true
  }

  /**
   * Checks a password.
   *
   * @returns undefined at once when too many wait.
   */
  check(password: string, verifier: string): Promise<boolean> | undefined {
    if (this.#running >= this.#maxRunning && this.#waiting.length >= this.#maxWaiting) {
      return undefined
    }
    return this.#check(password, verifier)
  }

  async #check(password: string, verifier: string): Promise<boolean> {
    if (this.#running >= this.#maxRunning) {
      // A check that ends gives its place to the next in line, so that no new one gets it first.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    } else this.#running += 1
    try {
      // The check before this one may have been of the same password.
      if (this.remembers(password, verifier)) return true
      const isGood = await verifyPassword(password, verifier)
      if (isGood) this.#remember(password, verifier)
      return isGood
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running -= 1
      else next()
    }
  }

  #remember(password: string, verifier: string): void {
    this.#good.set(this.#hash(password, verifier), this.#now() + this.#rememberMs)
    if (this.#good.size <= this.#maxRemembered) return
    for (const oldest of this.#good.keys()) {
      this.#good.delete(oldest)
      return
    }
  }

  #hash(password: string, verifier: string): string {
    // A verifier has a fixed form, so that no two pairs have the same text.
    return createHmac('sha256', this.#key).update(`${verifier}\n${password}`).digest('base64')
  }
}
