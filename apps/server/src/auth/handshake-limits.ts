import type { Rate } from '@proj/config'
import { SourceLimiter } from '@proj/auth'
import type { Denial } from '@proj/tunnel/server'

/** How often one source may ask, and be wrong. */
export interface HandshakeRates {
  /** Handshakes and requests that are judged. Default 12 000 a minute, all at once if need be. */
  readonly handshakeRate?: Rate
  /** Those that are refused for their credentials; beyond it a source is not judged at all. Default 60 a minute. */
  readonly failureRate?: Rate
}

/** Defaults: a thousand agents behind one address may come back at once; nobody mistypes more often. */
export const HANDSHAKE_RATES: Readonly<Required<HandshakeRates>> = Object.freeze({
  handshakeRate: { amount: 12_000, periodMs: 60_000 },
  failureRate: { amount: 60, periodMs: 60_000 },
})

/** What a limit is for, as metrics name it. */
export type LimitName = 'handshakes' | 'failures'

/** Holds strangers off, by the address they come from: an IPv4 address, or a /64 of IPv6. */
export class HandshakeLimits {
  readonly #handshakes: SourceLimiter | undefined
  readonly #failures: SourceLimiter | undefined
  /** Requests that were held off, by the limit. */
  readonly refused: Record<LimitName, number> = { handshakes: 0, failures: 0 }

  constructor({ handshakeRate, failureRate }: HandshakeRates = {}) {
    this.#handshakes = limiterOf(handshakeRate ?? HANDSHAKE_RATES.handshakeRate)
    this.#failures = limiterOf(failureRate ?? HANDSHAKE_RATES.failureRate)
  }

  /** The refusal of a source that was wrong too often. */
  heldOff(address: string | undefined): Denial | undefined {
    const failuresMs = this.#failures?.waitMs(address) ?? 0
    return failuresMs > 0 ? this.#refuse('failures', failuresMs) : undefined
  }

  /** Counts a handshake. @returns the refusal of a source that asks, or was wrong, too often. */
  admit(address: string | undefined): Denial | undefined {
    const heldOff = this.heldOff(address)
    if (heldOff !== undefined) return heldOff
    const waitMs = this.#handshakes?.waitMs(address) ?? 0
    if (waitMs > 0) return this.#refuse('handshakes', waitMs)
    this.#handshakes?.take(address)
    return undefined
  }

  /** Counts a request that was refused for its credentials. */
  failed(address: string | undefined): void {
    this.#failures?.take(address)
  }

  #refuse(name: LimitName, retryAfterMs: number): Denial {
    this.refused[name] += 1
    const error = name === 'failures' ? 'too many failed attempts' : 'too many handshakes'
    return { status: 429, error, retryAfterMs }
  }
}

/** A rate is a bucket of its amount, as configuration files mean it. */
function limiterOf({ amount, periodMs }: Rate): SourceLimiter | undefined {
  if (amount === Infinity) return undefined
  return new SourceLimiter({ burst: amount, perMinute: (amount * 60_000) / periodMs })
}
