import { type Endpoint, endpointKey } from '../protocol/endpoint.ts'
import { limit } from '../limits.ts'
import { type Room, RoomQueue } from './room-queue.ts'

/** Limits of the waits of visitors. */
export interface VisitorWaitLimits {
  /**
   * How long a visitor waits for the agents of an endpoint whose sessions were lost, and a connection of an
   * Adit consumer for those of any endpoint, ms, 0 to 60 000; 0: not at all. Default 5000.
   */
  readonly absentWaitMs?: number
  /**
   * For how long after the start HTTP visitors of any endpoint wait as those of an expected one do, ms, 0 to
   * 60 000; 0: not at all. Not all names of before a crash may be known, and their agents come back. Default 7000.
   */
  readonly startWaitMs?: number
  /**
   * How long a visitor waits for an agent that has too many unacknowledged or open streams, ms, 0 to
   * 60 000. Default 15 000.
   */
  readonly busyWaitMs?: number
  /**
   * Visitors that wait at once, 0 or more, a quarter of them for the agents of one endpoint, a quarter for room
   * in one session, and a quarter for endpoints that were not there, half of these for names that only other processes
   * of this server may know; one more is rejected at once. Default 4096.
   */
  readonly maxWaiting?: number
}

/** How long an endpoint is expected to come back after its last session was lost, ms. */
export const ABSENT_MS = 30_000

/**
 * How long an endpoint of a cluster is expected on another node after its agent has left this one, ms: it may have
 * moved, and what the other node serves is read within a second.
 */
export const MOVED_MS = 1_500

/**
 * Where other processes of this server get agents too: how long a visitor waits for an endpoint that this process does
 * not know, ms. What has come at another one is known here some 100 ms later, and within a second if a hint is lost.
 */
export const LEARN_MS = 1_000

/** Endpoints that are remembered after their last session was lost; the oldest is forgotten first. */
const MAX_ABSENT = 10_000

/**
 * One endpoint, one session, and the endpoints together that no session of this process has served, have this
 * part of the places at most, so that others have some left.
 */
const SHARE = 4

/**
 * Visitors of names that only other processes may know have this part of the places for endpoints that were not there:
 * anybody can ask for any name, and could take the places of those that wait for an agent which moves.
 */
const LEARN_SHARE = 2

/**
 * Visitors that wait: for the agents of an endpoint that were there a moment ago, or for room in the session
 * of an agent. Bounded in number and time; what a visitor has sent stays unread meanwhile.
 */
export class VisitorWaits {
  /** Visitors that did not get to wait because too many did. */
  rejected = 0
  /**
   * Returns the source that an address belongs to: sources take turns where there is little room. Default: each
   * address is a source.
   */
  sourceOf: (remoteAddress: string) => string = (remoteAddress) => remoteAddress
  /**
   * Whether other processes of this server get agents too: visitors wait LEARN_MS for any endpoint that this process
   * does not know. Default: no.
   */
  hasPeers = false
  /** How long an endpoint whose sessions were lost is waited for, ms. */
  readonly absentWaitMs: number
  readonly #busyWaitMs: number
  readonly #maxWaiting: number
  readonly #isExpected: (endpoint: Endpoint) => boolean
  /** Until when `isExpected` is asked: while agents come back after a start of this process. */
  readonly #startedUntilMs = performance.now() + ABSENT_MS
  /** Until when any endpoint may be one of before the start. */
  readonly #startsUntilMs: number
  /** Until when any endpoint may be expected; a time of `performance.now`. */
  #expectingUntilMs = this.#startedUntilMs
  /** Endpoints that a session has served since the start: they are not expected because of it any more. */
  readonly #servedSinceStart = new Set<string>()
  /** When the last session of an endpoint was lost, oldest first. */
  readonly #lostAt = new Map<string, number>()
  /** Until when an endpoint whose agent has left may appear on another node, oldest first. */
  readonly #movedUntil = new Map<string, number>()
  readonly #arrivals = new Map<string, Set<() => void>>()
  /** Sessions that have no room and visitors that wait for some. */
  readonly #queues = new Map<Room, RoomQueue>()
  #waiting = 0
  /** Those of them that wait for an endpoint that is not expected. */
  #unexpected = 0
  /** Those of these that wait only because other processes may know the endpoint. */
  #learning = 0

  /**
   * @param isExpected - whether agents of an endpoint are expected though no session of this process has
   *   served it; asked for ABSENT_MS only. Default: none are.
   * @throws {RangeError} for a limit that is out of its range.
   */
  constructor(limits: VisitorWaitLimits = {}, isExpected?: (endpoint: Endpoint) => boolean) {
    this.absentWaitMs = limit('absentWaitMs', limits.absentWaitMs)
    this.#busyWaitMs = limit('busyWaitMs', limits.busyWaitMs)
    this.#maxWaiting = limit('maxWaiting', limits.maxWaiting)
    this.#startsUntilMs = performance.now() + limit('startWaitMs', limits.startWaitMs)
    this.#isExpected = isExpected ?? (() => false)
  }

  /** Visitors that wait now. */
  get waiting(): number {
    return this.#waiting
  }

  /** Whether any endpoint may be expected back: while none is, nothing has to be looked up. */
  get isExpecting(): boolean {
    return this.hasPeers || performance.now() < this.#expectingUntilMs
  }

  /** For how long HTTP visitors of any endpoint wait still, ms; for a process that takes over. */
  get startLeftMs(): number {
    return Math.max(0, Math.round(this.#startsUntilMs - performance.now()))
  }

  /** Endpoints that are expected back because their sessions were lost; for a process that takes over. */
  get absent(): Endpoint[] {
    const nowMs = performance.now()
    const recent = [...this.#lostAt].filter(([, lostAtMs]) => nowMs - lostAtMs < ABSENT_MS)
    return recent.map(([key]) => endpointOf(key))
  }

  /** Whether an endpoint without sessions is expected to come back, or may have come at another process. */
  expects(endpoint: Endpoint): boolean {
    if (this.absentWaitMs === 0) return false
    return this.hasPeers || this.#comesBack(endpoint)
  }

  #comesBack(endpoint: Endpoint): boolean {
    const nowMs = performance.now()
    if (nowMs >= this.#expectingUntilMs) return false
    const key = endpointKey(endpoint)
    const lostAtMs = this.#lostAt.get(key)
    if (lostAtMs !== undefined) return nowMs - lostAtMs < ABSENT_MS
    if (nowMs < (this.#movedUntil.get(key) ?? 0)) return true
    if (nowMs >= this.#startedUntilMs || this.#servedSinceStart.has(key)) return false
    return this.#isExpected(endpoint)
  }

  /**
   * Whether an endpoint without sessions may be one of before the start, whose agents are on their way. It is
   * no longer after one has served it.
   */
  mayReturn(endpoint: Endpoint): boolean {
    if (performance.now() >= this.#startsUntilMs) return false
    return !this.#servedSinceStart.has(endpointKey(endpoint))
  }

  /** The last session of an endpoint was lost. */
  lost(endpoint: Endpoint): void {
    if (this.absentWaitMs === 0) return
    const nowMs = performance.now()
    for (const [oldest, atMs] of this.#lostAt) {
      if (nowMs - atMs < ABSENT_MS && this.#lostAt.size < MAX_ABSENT) break
      this.#lostAt.delete(oldest)
    }
    const key = endpointKey(endpoint)
    this.#lostAt.delete(key)
    this.#lostAt.set(key, nowMs)
    this.#expectingUntilMs = nowMs + ABSENT_MS
  }

  /** The last agent of an endpoint has left this node of a cluster, and may have moved to another one. */
  left(endpoint: Endpoint): void {
    if (this.absentWaitMs === 0) return
    const nowMs = performance.now()
    for (const [oldest, untilMs] of this.#movedUntil) {
      if (nowMs < untilMs && this.#movedUntil.size < MAX_ABSENT) break
      this.#movedUntil.delete(oldest)
    }
    const key = endpointKey(endpoint)
    this.#movedUntil.delete(key)
    this.#movedUntil.set(key, nowMs + MOVED_MS)
    this.#expectingUntilMs = Math.max(this.#expectingUntilMs, nowMs + MOVED_MS)
  }

  /** An endpoint has its first session. */
  settled(endpoint: Endpoint): void {
    const key = endpointKey(endpoint)
    this.#lostAt.delete(key)
    this.#movedUntil.delete(key)
    this.#noteServed(key)
    const arrivals = this.#arrivals.get(key)
    this.#arrivals.delete(key)
    for (const resolve of arrivals ?? []) resolve()
  }

  /**
   * Waits until an endpoint without sessions has one again, `absentWaitMs` at most.
   *
   * @param isHeld - whether to wait also for an endpoint that is not expected. Default false.
   * @returns undefined when nothing is waited for: the endpoint is not expected, or too many wait, for it or
   *   in all.
   */
  whenServed(endpoint: Endpoint, signal?: AbortSignal, isHeld = false): Promise<void> | undefined {
    if (this.absentWaitMs === 0) return undefined
    const isExpected = this.#comesBack(endpoint)
    if ((!isExpected && !isHeld && !this.hasPeers) || !this.#mayWait()) return undefined
    const key = endpointKey(endpoint)
    const isLearned = !isExpected && !isHeld
    const waitMs = isLearned ? Math.min(LEARN_MS, this.absentWaitMs) : this.#waitMsOf(key, isHeld)
    const arrivals = this.#arrivals.get(key) ?? new Set()
    const share = this.#placesOfOne
    const isFull =
      arrivals.size >= share ||
      (!isExpected && this.#unexpected >= share) ||
      (isLearned && this.#learning >= share / LEARN_SHARE)
    if (isFull) {
      this.rejected += 1
      return undefined
    }
    if (!isExpected) this.#unexpected += 1
    if (isLearned) this.#learning += 1
    this.#arrivals.set(key, arrivals)
    let arrive = (): void => {}
    const arrived = new Promise<void>((resolve) => arrivals.add((arrive = resolve)))
    return this.#wait(arrived, waitMs, signal).finally(() => {
      if (!isExpected) this.#unexpected -= 1
      if (isLearned) this.#learning -= 1
      arrivals.delete(arrive)
      if (arrivals.size === 0 && this.#arrivals.get(key) === arrivals) this.#arrivals.delete(key)
    })
  }

  /** Until when a visitor that begins to wait for room now may do so, a time of `performance.now`. */
  busyUntil(): number {
    return performance.now() + this.#busyWaitMs
  }

  /**
   * Waits for a turn until a session may have room for one more stream, or is over.
   *
   * @param remoteAddress - of the visitor; undefined: not known, as behind a trusted proxy.
   * @param untilMs - as `busyUntil` said when this visitor began to wait.
   * @returns false when it lost its place to another source or endpoint. undefined when nothing is waited for:
   *   the time is over, or too many wait.
   */
  whenRoom(
    upstream: Room,
    endpoint: Endpoint,
    remoteAddress: string | undefined,
    untilMs: number,
    signal: AbortSignal,
  ): Promise<boolean> | undefined {
    const ms = untilMs - performance.now()
    if (ms <= 0 || !this.#mayWait()) return undefined
    let queue = this.#queues.get(upstream)
    if (queue === undefined) {
      queue = new RoomQueue(upstream, this.#placesOfOne, () => this.#queues.delete(upstream))
      this.#queues.set(upstream, queue)
    }
    const source = remoteAddress === undefined ? '' : this.sourceOf(remoteAddress)
    const turn = queue.wait(`${source} ${endpointKey(endpoint)}`, ms, signal)
    if (turn === undefined) {
      this.rejected += 1
      return undefined
    }
    this.#waiting += 1
    return turn.then((mayTry) => {
      this.#waiting -= 1
      if (!mayTry) this.rejected += 1
      return mayTry
    })
  }

  /** One that may have moved is waited for no longer than it takes to learn that it did not. */
  #waitMsOf(key: string, isHeld: boolean): number {
    const movedUntilMs = this.#movedUntil.get(key)
    if (movedUntilMs === undefined || isHeld || this.#lostAt.has(key)) return this.absentWaitMs
    return Math.max(0, Math.min(this.absentWaitMs, movedUntilMs - performance.now()))
  }

  get #placesOfOne(): number {
    return Math.max(1, Math.floor(this.#maxWaiting / SHARE))
  }

  #noteServed(key: string): void {
    const served = this.#servedSinceStart
    if (performance.now() >= this.#startedUntilMs) served.clear()
    else if (served.size < MAX_ABSENT) served.add(key)
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

/** What `endpointKey` was made of. */
function endpointOf(key: string): Endpoint {
  const [tenant, name] = JSON.parse(key) as [string, string]
  return { tenant, name }
}
