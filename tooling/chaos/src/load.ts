// Visitors: closed ones, each with one request at a time, or an open stream of them at a rate.
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

import { exchange, HANG_MS, type Outcome, type Target, type Task } from './exchange.ts'
import type { Random } from './random.ts'

/** Shape of a load. */
export interface LoadOptions {
  /** Clients, each with one exchange at a time. Default 12. */
  readonly visitors?: number
  /** Longest pause of a client between two exchanges, ms. Default 40. */
  readonly pauseMs?: number
  /** Longest time the service takes, ms. Default 20. */
  readonly waitMs?: number
  /** Most bytes of a large upload or answer. Default 256 KiB. */
  readonly maxBytes?: number
  /** Share of TCP connections, 0 to 1. Default 0.15; 0 where there is no TCP port. */
  readonly tcpShare?: number
  /** Share of large exchanges, 0 to 1. Default 0.2. */
  readonly largeShare?: number
  /** An exchange hangs after so many ms. Default 60000. */
  readonly hangMs?: number
  /** Source address of the clients. */
  readonly from?: string
}

/** Where a load goes. */
export interface LoadTargets {
  readonly http: Target
  readonly tcp?: Target
}

const FRAMINGS = ['length', 'chunked', 'close'] as const
const SMALL_BYTES = 1024
const LARGE_BYTES = 256 * 1024

/** Exchanges until it is told to stop, and what became of them. */
export class Load {
  /** In the order of their ends. */
  readonly outcomes: Outcome[] = []
  /** Begun and not ended: id to time of performance.now(). */
  readonly pending = new Map<string, number>()
  readonly #targets: () => LoadTargets
  readonly #options: LoadOptions
  readonly #random: Random
  readonly #name: string
  readonly #running: Promise<void>[] = []
  #stopped = false
  #count = 0

  /** `name` begins the ids; the targets are asked for at each exchange. */
  constructor(name: string, targets: () => LoadTargets, random: Random, options: LoadOptions = {}) {
    this.#name = name
    this.#targets = targets
    this.#random = random
    this.#options = options
  }

  /** Starts the clients. */
  start(): this {
    const { visitors = 12 } = this.#options
    for (let at = 0; at < visitors; at++) this.#running.push(this.#visit())
    return this
  }

  /** Starts exchanges at a rate, whatever becomes of them, for so long. */
  async open(perSecond: number, seconds: number): Promise<void> {
    const agent = new Agent({ keepAlive: true })
    const begun = performance.now()
    const total = Math.round(perSecond * seconds)
    for (let sent = 0; sent < total;) {
      const due = Math.min(total, ((performance.now() - begun) / 1000) * perSecond)
      for (; sent < due; sent++) {
        const task = this.#next({ method: 'GET', up: 0, down: SMALL_BYTES })
        this.#running.push(this.#do(task, { ...this.#targets().http, agent }).then(() => {}))
      }
      await delay(5)
    }
    void Promise.all(this.#running).then(() => agent.destroy())
  }

  /** Does one exchange outside of the clients' own. */
  async one(task: Omit<Task, 'id'>, to: Target = this.#targets().http): Promise<Outcome> {
    return await this.#do(this.#next(task), to)
  }

  /** Begins no more and waits for the ends of those that run: at most until they count as hung. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#running)
  }

  /**
   * Waits until exchanges succeed again, and goes on to for `steadyMs`: none that began after `since` fails or
   * takes longer. Returns how long after `since` the first of them ended, ms; undefined when that was not
   * within `limitMs`.
   */
  async recovered(since: number, limitMs: number, steadyMs = 2000): Promise<number | undefined> {
    while (performance.now() - since < limitMs + steadyMs) {
      await delay(50)
      const now = performance.now()
      const begunAfter = this.outcomes.filter(({ startedAt }) => startedAt >= since)
      const lastBad = begunAfter.findLastIndex(({ verdict }) => verdict !== 'ok')
      const first = begunAfter[lastBad + 1]
      const isWaiting = [...this.pending.values()].some((at) => at >= since && now - at > steadyMs)
      if (first === undefined || isWaiting || now - first.endedAt < steadyMs) continue
      return first.endedAt - since
    }
    return undefined
  }

  async #visit(): Promise<void> {
    const { pauseMs = 40, from } = this.#options
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    while (!this.#stopped) {
      const { http, tcp } = this.#targets()
      const task = this.#next(this.#choose(tcp !== undefined))
      const target = task.method === 'TCP' ? (tcp ?? http) : { ...http, agent }
      await this.#do(task, from === undefined ? target : { ...target, from })
      await delay(this.#random.next() * pauseMs)
    }
    agent.destroy()
  }

  async #do(task: Task, to: Target): Promise<Outcome> {
    this.pending.set(task.id, performance.now())
    const outcome = await exchange(task, to, this.#options.hangMs ?? HANG_MS)
    this.pending.delete(task.id)
    this.outcomes.push(outcome)
    return outcome
  }

  #next(task: Omit<Task, 'id'>): Task {
    this.#count += 1
    return { ...task, id: `${this.#name}-${this.#count}` }
  }

  #choose(hasTcp: boolean): Omit<Task, 'id'> {
    const { tcpShare = 0.15, largeShare = 0.2, maxBytes = LARGE_BYTES, waitMs = 20 } = this.#options
    const random = this.#random
    const size = (): number => {
      return random.between(
        1,
        random.next() < largeShare ? maxBytes : Math.min(SMALL_BYTES, maxBytes),
      )
    }
    const wait = Math.round(random.next() * waitMs)
    if (hasTcp && random.next() < tcpShare) return { method: 'TCP', up: size(), down: size() }
    const framing = random.pick(FRAMINGS)
    return random.next() < 0.55
      ? { method: 'GET', up: 0, down: size(), framing, waitMs: wait }
      : { method: 'POST', up: size(), down: size(), framing, waitMs: wait }
  }
}
