import type { SocketSplice } from '@proj/tunnel/io'

/**
 * Deadlines for many connections with one timer. A connection moves its deadline with every chunk;
 * a timer of its own each time would cost more than the chunk. A tick looks at all of them, so a
 * deadline is met up to one tick late.
 */

/** Something that has a deadline. */
export interface Expiring {
  /** When, on the clock of `Deadlines.now`; Infinity for never. */
  readonly deadline: number
  /** Called once per tick while the deadline is past; moving the deadline stops that. */
  expire(): void
}

/** How much of the time since the last tick counts, in ticks. */
const MAX_COUNTED_TICKS = 2

/** Ticks over a set of connections. */
export class Deadlines {
  /**
   * Coarse monotonic time, ms, as of the last tick: cheap enough to read for every chunk. While this
   * process is held up it reads nothing, so that time is not the fault of a peer: of a late tick only
   * two ticks count.
   */
  now = 0

  readonly #members = new Set<Expiring>()
  /** Time between looks, ms: `now` is at most as old while the process runs. */
  readonly tickMs: number
  readonly #timer: NodeJS.Timeout
  #tickedAt = performance.now()

  /** @param tickMs - time between looks, ms. */
  constructor(tickMs: number) {
    this.tickMs = tickMs
    this.#timer = setInterval(() => this.#tick(), tickMs)
    this.#timer.unref() // sockets keep the process alive, looking at them need not
  }

  get size(): number {
    return this.#members.size
  }

  add(member: Expiring): void {
    this.#members.add(member)
  }

  /** Stops watching a member. */
  delete(member: Expiring): void {
    this.#members.delete(member)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#members.clear()
  }

  #tick(): void {
    const tickedAt = performance.now()
    this.now += Math.min(tickedAt - this.#tickedAt, MAX_COUNTED_TICKS * this.tickMs)
    this.#tickedAt = tickedAt
    for (const member of this.#members) if (member.deadline <= this.now) member.expire()
  }
}

/** What has to be known of a spliced connection. */
export type IdleWatched = Pick<
  SocketSplice,
  'bytesFromSocket' | 'bytesToSocket' | 'isHeldBack' | 'abort'
>

/**
 * Resets a spliced connection when nothing has moved for `timeoutMs` in either direction, unless a bandwidth holds it
 * back. It looks at the bytes the splice has counted, so that a chunk costs nothing.
 *
 * @param timeoutMs - Infinity: it is not watched.
 * @returns stops watching.
 */
export function watchIdle(
  splice: IdleWatched,
  timeoutMs: number,
  deadlines: Deadlines,
): () => void {
  if (timeoutMs === Infinity) return () => {}
  const idle = new IdleSplice(splice, timeoutMs, deadlines)
  deadlines.add(idle)
  return () => deadlines.delete(idle)
}

class IdleSplice implements Expiring {
  deadline: number
  readonly #splice: IdleWatched
  readonly #timeoutMs: number
  readonly #deadlines: Deadlines
  #seenBytes = 0

  constructor(splice: IdleWatched, timeoutMs: number, deadlines: Deadlines) {
    this.#splice = splice
    this.#timeoutMs = timeoutMs
    this.#deadlines = deadlines
    this.deadline = this.#nextDeadline()
  }

  expire(): void {
    const movedBytes = this.#splice.bytesFromSocket + this.#splice.bytesToSocket
    if (movedBytes === this.#seenBytes && !this.#splice.isHeldBack) {
      this.#splice.abort('idleTimeout')
    }
    this.#seenBytes = movedBytes
    this.deadline = this.#nextDeadline()
  }

  /** A tick later than by the time of the last one: a connection that has just begun is not idle. */
  #nextDeadline(): number {
    return this.#deadlines.now + this.#deadlines.tickMs + this.#timeoutMs
  }
}
