import type { Rate } from '@proj/config'
import { SourceLimiter } from '@proj/auth'
import type { Denial } from '@proj/tunnel/server'

/** How often one source may authenticate, and fail. */
export interface HandshakeRates {
  /** Handshakes and requests. Default 12 000 a minute, all of which may come at once. */
  readonly handshakeRate?: Rate
  /** Those with rejected credentials; beyond it everything from the source is rejected. Default 60 a minute. */
  readonly failureRate?: Rate
}

/** Defaults: a thousand agents behind one address may reconnect at once; a person makes fewer mistakes. */
export const HANDSHAKE_RATES: Readonly<Required<HandshakeRates>> = Object.freeze({
  handshakeRate: { amount: 12_000, periodMs: 60_000 },
  failureRate: { amount: 60, periodMs: 60_000 },
})

/** What a limit is for, as metrics name it. */
export type LimitName = 'handshakes' | 'failures'

/** Limits what one source may do: an IPv4 address, or a /64 of IPv6. */
export class HandshakeLimits {
  readonly #handshakes: SourceLimiter | undefined
  readonly #failures: SourceLimiter | undefined
  /** Requests that were rejected, by limit. */
  readonly refused: Record<LimitName, number> = { handshakes: 0, failures: 0 }

  constructor({ handshakeRate, failureRate }: HandshakeRates = {}) {
    this.#handshakes = limiterOf(handshakeRate ?? HANDSHAKE_RATES.handshakeRate)
    this.#failures = limiterOf(failureRate ?? HANDSHAKE_RATES.failureRate)
  }

  /** The denial for a source that failed too often. */
  heldOff(address: string | undefined): Denial | undefined {
    const failuresMs = this.#failures?.waitMs(address) ?? 0
    return failuresMs > 0 ? this.#deny('failures', failuresMs) : undefined
  }

  /** Counts a handshake. @returns the denial for a source that asks, or failed, too often. */
  admit(address: string | undefined): Denial | undefined {
    return this.heldOff(address) ?? this.admitKnown(address)
  }

  /** The same for somebody who is known: what others behind the same address failed at does not count. */
  admitKnown(address: string | undefined): Denial | undefined {
    const waitMs = this.#handshakes?.tryTake(address) ?? 0
    return waitMs > 0 ? this.#deny('handshakes', waitMs) : undefined
  }

  /** Counts a request with rejected credentials. */
  failed(address: string | undefined): void {
    this.#failures?.take(address)
  }

  #deny(name: LimitName, retryAfterMs: number): Denial {
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
