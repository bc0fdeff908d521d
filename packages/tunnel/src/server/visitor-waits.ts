import type { Endpoint } from '../protocol/endpoint.ts'
import { limit } from '../limits.ts'

/** Limits of the waits of visitors. */
export interface VisitorWaitLimits {
  /**
   * How long a visitor waits for the agents of an endpoint whose sessions were lost, ms, 0 to 60 000; 0:
   * not at all. Default 5000.
   */
  readonly absentWaitMs?: number
  /**
   * How long a visitor waits for an agent that has too many unacknowledged or open streams, ms, 0 to
   * 60 000. Default 15 000.
   */
  readonly busyWaitMs?: number
  /**
   * Visitors that wait at once, 0 or more, a quarter of them for the agents of one endpoint; one more is
   * rejected at once. Default 4096.
   */
  readonly maxWaiting?: number
}

/** What may have room for one more stream; a session is. */
interface Room {
  /** Resolves when it may have room, or is over. */
  whenRoom(options: { readonly signal: AbortSignal }): Promise<void>
}

/** How long an endpoint is expected to come back after its last session was lost, ms. */
export const ABSENT_MS = 30_000

/** Endpoints that are remembered after their last session was lost; the oldest is forgotten first. */
const MAX_ABSENT = 10_000

/** One endpoint has this part of the places at most, so that others have some left. */
const ENDPOINT_SHARE = 4

/**
 * Visitors that wait: for the agents of an endpoint that were there a moment ago, or for room in the session
 * of an agent. Bounded in number and time; what a visitor has sent stays unread meanwhile.
 */
export class VisitorWaits {
  /** Visitors that did not get to wait because too many did. */
  rejected = 0
  /** How long an endpoint whose sessions were lost is waited for, ms. */
  readonly absentWaitMs: number
  readonly #busyWaitMs: number
  readonly #maxWaiting: number
  readonly #isExpected: (endpoint: Endpoint) => boolean
  /** Until when `isExpected` is asked: while agents come back after a start of this process. */
  readonly #startedUntilMs = performance.now() + ABSENT_MS
  /** When the last session of an endpoint was lost, oldest first. */
  readonly #lostAt = new Map<string, number>()
  readonly #arrivals = new Map<string, Set<() => void>>()
  #waiting = 0

  /**
   * @param isExpected - whether agents of an endpoint are expected though no session of this process has
   *   served it; asked for ABSENT_MS only. Default: none are.
   * @throws {RangeError} for a limit that is out of its range.
   */
  constructor(limits: VisitorWaitLimits = {}, isExpected?: (endpoint: Endpoint) => boolean) {
    this.absentWaitMs = limit('absentWaitMs', limits.absentWaitMs)
    this.#busyWaitMs = limit('busyWaitMs', limits.busyWaitMs)
    this.#maxWaiting = limit('maxWaiting', limits.maxWaiting)
    this.#isExpected = isExpected ?? (() => false)
  }

  /** Visitors that wait now. */
  get waiting(): number {
    return this.#waiting
  }

  /** Whether any endpoint may be expected back: while none is, nothing has to be looked up. */
  get isExpecting(): boolean {
    return this.#lostAt.size > 0 || performance.now() < this.#startedUntilMs
  }

  /** Whether an endpoint without sessions is expected to come back. */
  expects(endpoint: Endpoint): boolean {
    if (this.absentWaitMs === 0) return false
    const nowMs = performance.now()
    const lostAtMs = this.#lostAt.get(keyOf(endpoint))
    if (lostAtMs !== undefined) return nowMs - lostAtMs < ABSENT_MS
    return nowMs < this.#startedUntilMs && this.#isExpected(endpoint)
  }

  /** The last session of an endpoint was lost. */
  lost(endpoint: Endpoint): void {
    if (this.absentWaitMs === 0) return
    const nowMs = performance.now()
    for (const [oldest, atMs] of this.#lostAt) {
      if (nowMs - atMs < ABSENT_MS && this.#lostAt.size < MAX_ABSENT) break
      this.#lostAt.delete(oldest)
    }
    const key = keyOf(endpoint)
    this.#lostAt.delete(key)
    this.#lostAt.set(key, nowMs)
  }

  /** An endpoint has its first session, or its agent left in good order. */
  settled(endpoint: Endpoint): void {
    const key = keyOf(endpoint)
    this.#lostAt.delete(key)
    const arrivals = this.#arrivals.get(key)
    this.#arrivals.delete(key)
    for (const resolve of arrivals ?? []) resolve()
  }

  /**
   * Waits until an endpoint without sessions has one again, `absentWaitMs` at most.
   *
   * @returns undefined when nothing is waited for: the endpoint is not expected, or too many wait, for it or
   *   in all.
   */
  whenServed(endpoint: Endpoint, signal?: AbortSignal): Promise<void> | undefined {
    if (!this.expects(endpoint) || !this.#mayWait()) return undefined
    const key = keyOf(endpoint)
    const arrivals = this.#arrivals.get(key) ?? new Set()
    if (arrivals.size >= Math.max(1, this.#maxWaiting / ENDPOINT_SHARE)) {
      this.rejected += 1
      return undefined
    }
    this.#arrivals.set(key, arrivals)
    let arrive = (): void => {}
    const arrived = new Promise<void>((resolve) => arrivals.add((arrive = resolve)))
    return this.#wait(arrived, this.absentWaitMs, signal).finally(() => {
      arrivals.delete(arrive)
      if (arrivals.size === 0 && this.#arrivals.get(key) === arrivals) this.#arrivals.delete(key)
    })
  }

  /** Until when a visitor that begins to wait for room now may do so, a time of `performance.now`. */
  busyUntil(): number {
    return performance.now() + this.#busyWaitMs
  }

  /**
   * Waits until a session may have room for one more stream, or is over.
   *
   * @param untilMs - as `busyUntil` said when this visitor began to wait.
   * @returns undefined when nothing is waited for: the time is over, or too many wait.
   */
  whenRoom(upstream: Room, untilMs: number, signal: AbortSignal): Promise<void> | undefined {
    const ms = untilMs - performance.now()
    if (ms <= 0 || !this.#mayWait()) return undefined
    const ended = new AbortController()
    const room = upstream.whenRoom({ signal: ended.signal }).catch(() => {})
    return this.#wait(room, ms, signal).finally(() => ended.abort())
  }

  #mayWait(): boolean {
    if (this.#waiting < this.#maxWaiting) return true
    this.rejected += 1
    return false
  }

  /** Resolves with `event`, after `ms`, or when the signal aborts. */
  async #wait(event: Promise<void>, ms: number, signal: AbortSignal | undefined): Promise<void> {
    this.#waiting += 1
    let end = (): void => {}
    const ended = new Promise<void>((resolve) => (end = resolve))
    const timer = setTimeout(end, ms)
    timer.unref() // the visitor's connection keeps the process alive, not its wait
    signal?.addEventListener('abort', end, { once: true })
    if (signal?.aborted === true) end()
    await Promise.race([event, ended])
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
    this.#waiting -= 1
  }
}

/** No name of one tenant can pose as that of another. */
function keyOf({ tenant, name }: Endpoint): string {
  return JSON.stringify([tenant, name])
}
