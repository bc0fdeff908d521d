/**
 * Decides what of the listeners' streams is captured. Nothing is captured while nothing is kept and no page is
 * open. Above a rate, exchanges are counted and not captured: the visitors come first.
 */
import type { ExchangeKind } from '@proj/pages'
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

  /** Whether anything is captured now: exchanges are kept, or a page is open. */
  get isOn(): boolean {
    return this.records || this.store.isWatched
  }

  /**
   * The option `tap` of a listener. A stream with HTTP has a tap in any case: it carries many requests, and a page
   * may be opened between two of them.
   */
  tapOf(endpoint: string, kind: 'http' | 'tcp'): NonNullable<ForwardOptions['tap']> {
    return (record, rttMs) => {
      if (kind === 'tcp' && !this.isOn) return undefined
      const from = {
        endpoint,
        visitor: record?.visitorAddress,
        requestId: record?.requestId,
        rttMs,
      }
      const parts = new StreamParts(this, from)
      return kind === 'tcp' ? new TcpTap(parts) : new HttpTap(parts)
    }
  }

  /** A tap for a connection that repeats an exchange. */
  tapReplay(original: Exchange, onBegin: (replay: Exchange) => void): SpliceTap {
    const from = {
      endpoint: original.endpoint,
      visitor: undefined,
      requestId: undefined,
      rttMs: () => undefined,
    }
    const parts = new StreamParts(this, from, (replay) => {
      replay.replayOf = original.id
      onBegin(replay)
    })
    return original.kind === 'tcp' ? new TcpTap(parts) : new HttpTap(parts)
  }

  /** A service answers again, as a check or an answer has found. True: it was known not to. */
  noteUp(endpoint: string): boolean {
    return this.#outages.delete(endpoint)
  }

  /** A service did not answer. */
  noteFailed(endpoint: string, code: string): void {
    if (!DOWN.has(code)) return
    const outage = this.#outages.get(endpoint) ?? { since: Date.now(), refused: 0 }
    outage.refused += 1
    this.#outages.set(endpoint, outage)
  }

  /** Whether another exchange may be captured in this second; one that may not is counted. */
  admits(): boolean {
    const now = performance.now()
    if (now - this.#secondStart >= 1000) {
      this.#secondStart = now
      this.#inSecond = 0
    }
    this.#inSecond += 1
    if (this.#inSecond <= this.#maxPerSecond) return true
    this.skipped += 1
    return false
  }
}

/** What the tap of one stream works with; its methods are shared by all streams. */
class StreamParts implements TapParts {
  readonly store: ExchangeStore
  readonly visitor: string | undefined
  readonly requestId: string | undefined
  readonly rttMs: () => number | undefined
  readonly #capture: Capture
  readonly #endpoint: string
  readonly #onReplay: ((replay: Exchange) => void) | undefined

  constructor(
    capture: Capture,
    {
      endpoint,
      visitor,
      requestId,
      rttMs,
    }: Pick<TapParts, 'visitor' | 'requestId' | 'rttMs'> & { readonly endpoint: string },
    onReplay?: (replay: Exchange) => void,
  ) {
    this.store = capture.store
    this.visitor = visitor
    this.requestId = requestId
    this.rttMs = rttMs
    this.#capture = capture
    this.#endpoint = endpoint
    this.#onReplay = onReplay
  }

  get isOn(): boolean {
    return this.#onReplay !== undefined || this.#capture.isOn
  }

  get keepsMessages(): boolean {
    return true
  }

  begin(kind: ExchangeKind): Exchange | undefined {
    const onReplay = this.#onReplay
    if (onReplay === undefined && !this.#capture.admits()) return undefined
    const exchange = this.store.begin(kind, this.#endpoint)
    this.#capture.rttMs = this.rttMs() ?? this.#capture.rttMs
    onReplay?.(exchange)
    return exchange
  }

  onAnswer(exchange: Exchange): void {
    if (this.#capture.noteUp(this.#endpoint)) exchange.afterDown = true
  }

  onFailed(code: string): void {
    this.#capture.noteFailed(this.#endpoint, code)
  }

  finish(exchange: Exchange, state: 'done' | 'failed'): void {
    exchange.state = state
    exchange.times.ended = performance.now()
    this.store.touch(exchange)
  }
}
