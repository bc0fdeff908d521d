/**
 * Decides what of the listeners' streams is captured. Nothing is captured while nothing is kept and no page is
 * open. Above a rate, exchanges are counted and not captured: the visitors come first.
 */
import type { ForwardOptions } from '@proj/tunnel'
import type { SpliceTap } from '@proj/tunnel/io'

import type { Exchange } from './exchange.ts'
import { ExchangeStore, type StoreLimits } from './exchange-store.ts'
import { HttpTap } from './http-tap.ts'
import type { TapParts } from './tap-parts.ts'
import { TcpTap } from './tcp-tap.ts'

/** Reset reasons that say that the service does not answer. */
const DOWN = new Set(['serviceRefused', 'serviceTimeout', 'serviceUnreachable', 'serviceDown'])

/** Exchanges that are kept while a page is open, where nothing is kept otherwise. */
const KEPT_FOR_PAGE = 500

/** Limits of the capture. */
export interface CaptureLimits extends StoreLimits {
  /** Exchanges that are captured in a second. */
  readonly maxPerSecond: number
}

/** A service that does not answer. */
export interface Outage {
  /** Ms since the epoch. */
  readonly since: number
  /** Visitors that got an error. */
  refused: number
}

/** Captures the exchanges of all listeners. */
export class Capture {
  readonly store: ExchangeStore
  /** Exchanges that were not captured. */
  skipped = 0
  /** The last round trip to the server that was seen, ms. */
  rttMs: number | undefined
  /** Whether exchanges are kept while no page is open. */
  readonly records: boolean
  readonly #maxPerSecond: number
  readonly #outages = new Map<string, Outage>()
  #secondStart = -Infinity
  #inSecond = 0

  constructor({ maxPerSecond, ...limits }: CaptureLimits) {
    this.records = limits.keep > 0
    this.store = new ExchangeStore({ ...limits, keep: limits.keep || KEPT_FOR_PAGE })
    this.#maxPerSecond = maxPerSecond
  }

  /** The services that do not answer, by endpoint. */
  get outages(): ReadonlyMap<string, Outage> {
    return this.#outages
  }

  /** The option `tap` of a listener. */
  tapOf(endpoint: string, kind: 'http' | 'tcp'): NonNullable<ForwardOptions['tap']> {
    return (record, rttMs) => {
      if (!this.records && !this.store.isWatched) return undefined
      return this.#tap(endpoint, kind, {
        visitor: record?.visitorAddress,
        requestId: record?.requestId,
        rttMs,
      })
    }
  }

  /** A tap for a connection that repeats an exchange. */
  tapReplay(original: Exchange, onBegin: (replay: Exchange) => void): SpliceTap {
    const kind = original.kind === 'tcp' ? 'tcp' : 'http'
    const from = { visitor: undefined, requestId: undefined, rttMs: () => undefined }
    return this.#tap(original.endpoint, kind, from, (replay) => {
      replay.replayOf = original.id
      onBegin(replay)
    })
  }

  /** A service answers again, as a check has found. */
  noteUp(endpoint: string): void {
    this.#outages.delete(endpoint)
  }

  #tap(
    endpoint: string,
    kind: 'http' | 'tcp',
    from: Pick<TapParts, 'visitor' | 'requestId' | 'rttMs'>,
    onReplay?: (replay: Exchange) => void,
  ): SpliceTap {
    const { store } = this
    const parts: TapParts = {
      store,
      ...from,
      begin: (begun) => {
        if (onReplay === undefined && !this.#admits()) {
          this.skipped += 1
          return undefined
        }
        const exchange = store.begin(begun, endpoint)
        this.rttMs = from.rttMs() ?? this.rttMs
        onReplay?.(exchange)
        return exchange
      },
      onAnswer: (exchange) => {
        if (this.#outages.delete(endpoint)) exchange.afterDown = true
      },
      onFailed: (code) => {
        if (!DOWN.has(code)) return
        const outage = this.#outages.get(endpoint) ?? { since: Date.now(), refused: 0 }
        outage.refused += 1
        this.#outages.set(endpoint, outage)
      },
      finish: (exchange, state) => {
        exchange.state = state
        exchange.times.ended = performance.now()
        store.touch(exchange)
      },
    }
    return kind === 'tcp' ? new TcpTap(parts) : new HttpTap(parts)
  }

  #admits(): boolean {
    const now = performance.now()
    if (now - this.#secondStart >= 1000) {
      this.#secondStart = now
      this.#inSecond = 0
    }
    this.#inSecond += 1
    return this.#inSecond <= this.#maxPerSecond
  }
}
