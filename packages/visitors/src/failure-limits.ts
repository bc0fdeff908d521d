import { isIPv6 } from 'node:net'

import { plainAddress } from './address-rules.ts'

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

interface Source {
  left: number
  at: number
}

/**
 * Bounds the failures of each source. An attempt is paid for before it is judged and given back when it
 * was good, so that many attempts at once are no way around it. Addresses of IPv6 count by their /64,
 * because one machine has as many as it likes.
 */
export class FailureLimits {
  readonly #burst: number
  readonly #refillMs: number
  readonly #maxSources: number
  readonly #now: () => number
  readonly #sources = new Map<string, Source>()

  constructor(options: FailureLimitOptions = {}) {
    this.#burst = options.burst ?? 10
    this.#refillMs = options.refillMs ?? 6000
    this.#maxSources = options.maxSources ?? 10_000
    this.#now = options.now ?? (() => performance.now())
  }

  /** Sources remembered now. */
  get size(): number {
    return this.#sources.size
  }

  /**
   * Pays for an attempt.
   *
   * @returns 0 when it may be made, else the time after which it may, ms.
   */
  take(address: string): number {
    const key = sourceOf(address)
    const now = this.#now()
    const source = this.#sources.get(key) ?? { left: this.#burst, at: now }
    // Behind all others: what failed longest ago is the first to be forgotten.
    this.#sources.delete(key)
    this.#sources.set(key, source)
    const regained = Math.floor((now - source.at) / this.#refillMs)
    source.left = Math.min(this.#burst, source.left + regained)
    source.at = source.left === this.#burst ? now : source.at + regained * this.#refillMs
    if (this.#sources.size > this.#maxSources) this.#forgetOldest()
    if (source.left <= 0) return Math.max(1, source.at + this.#refillMs - now)
    source.left -= 1
    return 0
  }

  /** Gives an attempt back: it was good, or could not be judged. */
  giveBack(address: string): void {
    const key = sourceOf(address)
    const source = this.#sources.get(key)
    if (source === undefined) return
    source.left += 1
    if (source.left >= this.#burst) this.#sources.delete(key)
  }

  #forgetOldest(): void {
    for (const key of this.#sources.keys()) {
      this.#sources.delete(key)
      return
    }
  }
}

function sourceOf(address: string): string {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [head = '', tail] = plain.split('::')
  const groups = head === '' ? [] : head.split(':')
  const behind = tail === undefined || tail === '' ? [] : tail.split(':')
  while (tail !== undefined && groups.length + behind.length < 8) groups.push('0')
  return [...groups, ...behind].slice(0, 4).join(':')
}
