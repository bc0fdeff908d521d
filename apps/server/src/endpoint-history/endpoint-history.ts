/**
 * What happened to the visitors of each endpoint in the last hour: requests, failures and times in steps of 30 s,
 * and the last failures one by one. In memory only, in arrays that are made once for each endpoint: a request costs
 * one lookup and a few additions.
 */
import type { RequestHead } from '@proj/http1'
import { type Endpoint, EndpointMap, type EndedConnection } from '@proj/tunnel/server'
import { resetReasonCode } from '@proj/tunnel/io'

/** Length of a step, ms, and how many are kept: an hour. */
export const STEP_MS = 30_000
export const STEPS = 120

/** Steps in one of the coarser steps of a list. */
const COARSE = 4

/**
 * Endpoints with a history: 19 kB each, 10 MB in all. Those that are not served any more make room, then those of
 * the tenant that has the most.
 */
export const MAX_ENDPOINTS = 500

/** Failures of an endpoint that are kept one by one. */
export const MAX_FAILURES = 10

/** Longest part of a path and of a method that is kept, characters. */
const MAX_PATH = 100
const MAX_METHOD = 20

/** Buckets of times: two for each doubling, from 1 ms to 2^17 ms, about 131 s. */
const BUCKETS = 36

/** A request or connection that failed. */
export interface Failure {
  /** When, ms since the epoch. */
  readonly at: number
  /** Of the answer; 0: a connection of TCP. */
  readonly status: number
  /** `adit-error`; empty: the service gave the answer. */
  readonly code: string
  /** Empty for TCP. */
  readonly method: string
  /** Without its query. */
  readonly path: string
  readonly requestId: string
}

/** A step as it is shown. */
export interface HistoryStep {
  readonly requests: number
  readonly errors: number
  readonly rejected: number
  /** Half of the requests took less, ms; null: there was none. */
  readonly p50Ms: number | null
  readonly p95Ms: number | null
}

/** The hour of one endpoint, or of all. */
export class RateHistory {
  readonly #requests = new Uint32Array(STEPS)
  readonly #errors = new Uint32Array(STEPS)
  readonly #rejected = new Uint32Array(STEPS)
  readonly #times = new Uint32Array(STEPS * BUCKETS)
  /** Number of the newest step, since the clock began. */
  #step = 0

  /**
   * Counts a request that is over.
   *
   * @param ms - how long it took; negative: it is no time of an answer.
   * @param nowMs - of the monotonic clock.
   */
  count(status: number, ms: number, nowMs: number): void {
    const step = Math.floor(nowMs / STEP_MS)
    if (step !== this.#step) this.#advance(step)
    const slot = step % STEPS
    this.#requests[slot] = (this.#requests[slot] ?? 0) + 1
    if (status >= 500) {
      this.#errors[slot] = (this.#errors[slot] ?? 0) + 1
    }
    if (ms < 0) return
    const at = slot * BUCKETS + bucketOf(ms)
    this.#times[at] = (this.#times[at] ?? 0) + 1
  }

  /** Counts a visitor that the rules or limits of the endpoint have rejected; it is a request too. */
  countRejected(nowMs: number): void {
    const step = Math.floor(nowMs / STEP_MS)
    if (step !== this.#step) this.#advance(step)
    const slot = step % STEPS
    this.#rejected[slot] = (this.#rejected[slot] ?? 0) + 1
  }

  /** The steps of the last hour, oldest first; the last one goes on. */
  steps(nowMs: number): HistoryStep[] {
    const now = this.#upTo(nowMs)
    return Array.from({ length: STEPS }, (_, index) => {
      const slot = (now + 1 + index) % STEPS
      const times = this.#times.subarray(slot * BUCKETS, (slot + 1) * BUCKETS)
      return {
        requests: this.#requests[slot] ?? 0,
        errors: this.#errors[slot] ?? 0,
        rejected: this.#rejected[slot] ?? 0,
        p50Ms: quantile(times, 0.5),
        p95Ms: quantile(times, 0.95),
      }
    })
  }

  /** Requests of the last hour in 30 steps of 2 minutes, oldest first. */
  recent(nowMs: number): number[] {
    const now = this.#upTo(nowMs)
    return Array.from({ length: STEPS / COARSE }, (_, index) => {
      let sum = 0
      for (let part = 0; part < COARSE; part++) {
        sum += this.#requests[(now + 1 + index * COARSE + part) % STEPS] ?? 0
      }
      return sum
    })
  }

  /** Requests of the last hour, and those of them that were rejected. */
  lastHour(nowMs: number): { readonly requests: number; readonly rejected: number } {
    this.#upTo(nowMs)
    const sum = (counts: Uint32Array): number => counts.reduce((all, one) => all + one, 0)
    return { requests: sum(this.#requests), rejected: sum(this.#rejected) }
  }

  #upTo(nowMs: number): number {
    const now = Math.floor(nowMs / STEP_MS)
    if (now !== this.#step) this.#advance(now)
    return now
  }

  /** Empties the steps between the newest one and another. */
  #advance(step: number): void {
    const gone = Math.min(STEPS, step - this.#step)
    for (let back = 0; back < gone; back++) {
      const slot = (step - back) % STEPS
      this.#requests[slot] = 0
      this.#errors[slot] = 0
      this.#rejected[slot] = 0
      this.#times.fill(0, slot * BUCKETS, (slot + 1) * BUCKETS)
    }
    this.#step = step
  }
}

/** What is kept of one endpoint. */
class EndpointRecord {
  readonly rates = new RateHistory()
  readonly failures: Failure[] = []
  isServed = true
}

/** The last hour of a server, and of each endpoint. */
export class EndpointHistory {
  /** All requests, those without an endpoint too. */
  readonly total: RateHistory = new RateHistory()
  readonly #endpoints = new EndpointMap<EndpointRecord>()

  /** Endpoints that have a history. */
  get size(): number {
    return this.#endpoints.size
  }

  /** An endpoint is served from now on, or not any more. Visitors cannot make entries: names cost them nothing. */
  setServed(endpoint: Endpoint, isServed: boolean): void {
    const known = this.#endpoints.get(endpoint)
    if (known !== undefined) known.isServed = isServed
    if (known !== undefined || !isServed) return
    if (this.#endpoints.size >= MAX_ENDPOINTS && !this.#makeRoom(endpoint.tenant)) return
    this.#endpoints.set(endpoint, new EndpointRecord())
  }

  /**
   * Counts a request that is over.
   *
   * @param endpoint - undefined: none was found.
   * @param code - `adit-error`; empty: the answer is of the service.
   * @param ms - how long it took.
   * @param nowMs - of the monotonic clock.
   */
  count(
    endpoint: Endpoint | undefined,
    head: RequestHead,
    requestId: string | undefined,
    status: number,
    code: string,
    ms: number,
    nowMs: number,
  ): void {
    this.total.count(status, ms, nowMs)
    const record = endpoint === undefined ? undefined : this.#endpoints.get(endpoint)
    const isRejected = code !== '' && status >= 400 && status < 500
    if (isRejected) this.total.countRejected(nowMs)
    if (record === undefined) return
    record.rates.count(status, ms, nowMs)
    if (isRejected) record.rates.countRejected(nowMs)
    if (!isRejected && status < 500) return
    const { method, target } = head
    const query = target.indexOf('?')
    note(record, {
      at: Date.now(),
      status,
      code,
      method: method.slice(0, MAX_METHOD),
      path: target.slice(0, query === -1 ? MAX_PATH : Math.min(query, MAX_PATH)),
      requestId: requestId ?? '',
    })
  }

  /** Counts a connection to a TCP endpoint that is over, or was rejected. */
  countConnection({ endpoint, outcome, requestId, answeredMs }: EndedConnection): void {
    const record = this.#endpoints.get(endpoint)
    const nowMs = performance.now()
    // A visitor that went before any answer is no failure of the service.
    const hasFailed = outcome !== 'ok' && outcome !== 'consumerGone'
    const isRejected = outcome === 'notPermitted' || outcome === 'limitReached'
    const status = hasFailed && !isRejected ? 500 : 200
    for (const rates of record === undefined ? [this.total] : [this.total, record.rates]) {
      rates.count(status, answeredMs ?? -1, nowMs)
      if (isRejected) rates.countRejected(nowMs)
    }
    if (record === undefined || !hasFailed) return
    const code = resetReasonCode(outcome)
    const at = Date.now()
    note(record, { at, status: 0, code, method: '', path: '', requestId: requestId ?? '' })
  }

  /** What is known of an endpoint; undefined: nothing. */
  find(
    endpoint: Endpoint,
  ): { readonly rates: RateHistory; readonly failures: readonly Failure[] } | undefined {
    return this.#endpoints.get(endpoint)
  }

  /** Removes one for an endpoint of a tenant. @returns false: the tenant has its share. */
  #makeRoom(tenant: string): boolean {
    const gone = this.#unserved(tenant) ?? this.#beyondShare(tenant)
    if (gone !== undefined) this.#endpoints.delete(gone)
    return gone !== undefined
  }

  /** One that is not served any more, of the tenant itself where it has one. */
  #unserved(tenant: string): Endpoint | undefined {
    let found: Endpoint | undefined
    for (const [endpoint, { isServed }] of this.#endpoints.entries()) {
      if (isServed) continue
      if (endpoint.tenant === tenant) return endpoint
      found ??= endpoint
    }
    return found
  }

  /** The oldest of the tenant that has the most; undefined: this one would then have as many. */
  #beyondShare(tenant: string): Endpoint | undefined {
    const oldest = new Map<string, { readonly endpoint: Endpoint; count: number }>()
    for (const [endpoint] of this.#endpoints.entries()) {
      const known = oldest.get(endpoint.tenant)
      if (known === undefined) oldest.set(endpoint.tenant, { endpoint, count: 1 })
      else known.count += 1
    }
    const own = oldest.get(tenant)?.count ?? 0
    let most: { readonly endpoint: Endpoint; readonly count: number } | undefined
    for (const one of oldest.values()) if (one.count > (most?.count ?? own + 1)) most = one
    return most?.endpoint
  }
}

function note({ failures }: EndpointRecord, failure: Failure): void {
  failures.push(failure)
  if (failures.length > MAX_FAILURES) failures.shift()
}

/** Two buckets for each doubling: 1, 1.5, 2, 3, 4, 6, 8 ms and so on. */
function bucketOf(ms: number): number {
  const whole = Math.min(ms, 200_000) | 0
  if (whole < 1) return 0
  const power = 31 - Math.clz32(whole)
  const half = power === 0 ? 0 : (whole >> (power - 1)) & 1
  return Math.min(BUCKETS - 1, 1 + 2 * power + half)
}

/** Upper bound of a bucket, ms. */
function boundOf(bucket: number): number {
  if (bucket === 0) return 1
  const power = (bucket - 1) >> 1
  const base = 2 ** power
  return (bucket - 1) % 2 === 0 && power > 0 ? base * 1.5 : base * 2
}

function quantile(times: Uint32Array, share: number): number | null {
  const count = times.reduce((sum, one) => sum + one, 0)
  if (count === 0) return null
  let left = count * share
  for (const [bucket, one] of times.entries()) {
    left -= one
    if (left <= 0) return boundOf(bucket)
  }
  return boundOf(BUCKETS - 1)
}
