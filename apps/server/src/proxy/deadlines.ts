/**
 * Deadlines for many connections with one timer. A connection moves its deadline with every chunk;
 * a timer of its own each time would cost more than the chunk. A tick looks at all of them, so a
 * deadline is met up to one tick late.
 */

/** Something that must be over by a time. */
export interface Expiring {
  /** When, on the clock of `Deadlines.now`; Infinity for never. */
  readonly deadline: number
  /** Called once per tick while the deadline is past; moving the deadline stops that. */
  expire(): void
}

/** Ticks over a set of connections. */
export class Deadlines {
  /** Coarse monotonic time, ms, as of the last tick: cheap enough to read for every chunk. */
  now: number = performance.now()

  readonly #members = new Set<Expiring>()
  readonly #timer: NodeJS.Timeout

  /** @param tickMs - time between looks, ms. */
  constructor(tickMs: number) {
    this.#timer = setInterval(() => this.#tick(), tickMs)
    this.#timer.unref() // sockets keep the process alive, looking at them need not
  }

  /** Members now. */
  get size(): number {
    return this.#members.size
  }

  add(member: Expiring): void {
    this.#members.add(member)
  }

  delete(member: Expiring): void {
    this.#members.delete(member)
  }

  /** Stops looking. */
  close(): void {
    clearInterval(this.#timer)
    this.#members.clear()
  }

  #tick(): void {
    this.now = performance.now()
    for (const member of this.#members) if (member.deadline <= this.now) member.expire()
  }
}
