/** The exchanges that are kept, in memory alone, within limits of count and bytes. */
import type { ExchangeKind } from '@proj/pages'

import { Exchange } from './exchange.ts'

/** Limits of the store. */
export interface StoreLimits {
  /** Exchanges that are kept, pinned ones included. */
  readonly keep: number
  /** First bytes of each body that are kept. */
  readonly bodyBytes: number
  /** Bytes of everything that is kept. */
  readonly maxBytes: number
}

/** What an exchange costs beside its head and bodies, bytes. */
export const EXCHANGE_BYTES = 1_024

/** Ids of removed exchanges that are remembered, for pages that were away. */
const MAX_REMOVED = 20_000

/** Part of the limits that pinned exchanges may have. */
const PINNED_PART = 0.5

/** Keeps the last exchanges; pinned ones stay. */
export class ExchangeStore {
  readonly limits: StoreLimits
  readonly #exchanges = new Map<number, Exchange>()
  readonly #pinned = new Map<number, Exchange>()
  readonly #watchers = new Set<() => void>()
  readonly #removed: { seq: number; id: number }[] = []
  #lastId = 0
  #seq = 0
  /** Removals up to this one are forgotten. */
  #forgottenSeq = 0
  #bytes = 0
  #pinnedBytes = 0

  constructor(limits: StoreLimits) {
    this.limits = limits
  }

  /** Number of the last change. */
  get seq(): number {
    return this.#seq
  }

  /** Exchanges that are kept. */
  get size(): number {
    return this.#exchanges.size + this.#pinned.size
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether a page is open. */
  get isWatched(): boolean {
    return this.#watchers.size > 0
  }

  /** Calls `changed` at each change until the returned function is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed)
    return () => this.#watchers.delete(changed)
  }

  /** Every exchange, the oldest first. */
  all(): Exchange[] {
    return [...this.#pinned.values(), ...this.#exchanges.values()].toSorted((a, b) => a.id - b.id)
  }

  /** The exchange with this id, if it is kept. */
  find(id: number): Exchange | undefined {
    return this.#exchanges.get(id) ?? this.#pinned.get(id)
  }

  /** Begins an exchange; the oldest ones make room for it. */
  begin(kind: ExchangeKind, endpoint: string): Exchange {
    this.#lastId += 1
    const exchange = new Exchange(this.#lastId, kind, endpoint, this.limits.bodyBytes)
    this.#exchanges.set(exchange.id, exchange)
    this.charge(exchange, EXCHANGE_BYTES)
    while (this.size > this.limits.keep && this.#removeOldest(exchange));
    this.touch(exchange)
    return exchange
  }

  /**
   * Takes memory for an exchange; older ones make room.
   *
   * @param bytes - less than 0: gives memory back.
   * @returns false when there is none.
   */
  charge(exchange: Exchange, bytes: number): boolean {
    if (exchange.isGone) return false
    while (this.#bytes + bytes > this.limits.maxBytes) {
      if (!this.#removeOldest(exchange)) return false
    }
    exchange.charged += bytes
    this.#bytes += bytes
    if (exchange.pinned) this.#pinnedBytes += bytes
    return true
  }

  /** Notes a change of an exchange. */
  touch(exchange: Exchange): void {
    if (exchange.isGone) return
    this.#seq += 1
    exchange.seq = this.#seq
    for (const changed of this.#watchers) changed()
  }

  /** Keeps an exchange until it is unpinned or cleared. False: half of the limits are pinned. */
  pin(exchange: Exchange, pinned: boolean): boolean {
    if (exchange.pinned === pinned) return true
    if (pinned) {
      const { keep, maxBytes } = this.limits
      const isFull =
        this.#pinned.size + 1 > keep * PINNED_PART ||
        this.#pinnedBytes + exchange.charged > maxBytes * PINNED_PART
      if (isFull) return false
      this.#exchanges.delete(exchange.id)
      this.#pinned.set(exchange.id, exchange)
    } else {
      this.#pinned.delete(exchange.id)
      this.#exchanges.set(exchange.id, exchange)
    }
    this.#pinnedBytes += pinned ? exchange.charged : -exchange.charged
    exchange.pinned = pinned
    this.touch(exchange)
    return true
  }

  /** Drops everything that is not pinned, and overwrites it. */
  clear(): void {
    for (const exchange of this.#exchanges.values()) this.#remove(exchange)
    for (const changed of this.#watchers) changed()
  }

  /**
   * What changed since a change: exchanges, and ids of removed ones. Undefined: that is not known any more.
   */
  since(seq: number): { changed: Exchange[]; removed: number[] } | undefined {
    if (seq < this.#forgottenSeq || seq > this.#seq) return undefined
    const changed = this.all().filter((one) => one.seq > seq)
    const removed = this.#removed.filter((one) => one.seq > seq).map(({ id }) => id)
    return { changed, removed }
  }

  #removeOldest(except: Exchange): boolean {
    for (const exchange of this.#exchanges.values()) {
      if (exchange === except) continue
      this.#remove(exchange)
      return true
    }
    return false
  }

  #remove(exchange: Exchange): void {
    this.#exchanges.delete(exchange.id)
    this.#bytes -= exchange.charged
    exchange.clear()
    this.#seq += 1
    this.#removed.push({ seq: this.#seq, id: exchange.id })
    if (this.#removed.length > MAX_REMOVED) {
      const [first] = this.#removed.splice(0, MAX_REMOVED / 2).slice(-1)
      this.#forgottenSeq = first?.seq ?? 0
    }
  }
}
