/** What may have room for more streams; a session is. */
export interface Room {
  /** Streams that can be opened now. */
  readonly openable: number
  /** Resolves when it may have room, or is over. */
  whenRoom(options: { readonly signal: AbortSignal }): Promise<void>
}

/**
 * Once the oldest visitor of a share has waited for this long, ms, the newest is next: it is the one most likely
 * to be there still. The older ones follow when no more come.
 */
const NEWEST_FIRST_MS = 500

interface Waiter {
  readonly share: string
  readonly sinceMs: number
  /** Ends the wait; false: it was left out. */
  readonly end: (mayTry: boolean) => void
}

/**
 * Visitors that wait for room in one session. Shares, one for each source and endpoint, take turns, and when
 * the queue is full the longest one loses its newest: a burst of one source makes others wait for a turn.
 */
export class RoomQueue {
  readonly #room: Room
  readonly #max: number
  readonly #onEmpty: () => void
  /** Never empty lists, in order of turns. */
  readonly #shares = new Map<string, Waiter[]>()
  readonly #isOver = new AbortController()
  #size = 0

  /**
   * @param max - visitors that wait at once, from 1.
   * @param onEmpty - called when the last one has gone; the queue is not used any more.
   */
  constructor(room: Room, max: number, onEmpty: () => void) {
    this.#room = room
    this.#max = max
    this.#onEmpty = onEmpty
  }

  /** Visitors that wait. */
  get size(): number {
    return this.#size
  }

  /**
   * Waits for a turn.
   *
   * @param share - source and endpoint.
   * @param ms - longest wait.
   * @returns whether there may be room, or it is to be looked why not: false when it was left out for others.
   *   undefined: the queue is full, and this share has as many as any other.
   */
  wait(share: string, ms: number, signal: AbortSignal): Promise<boolean> | undefined {
    if (this.#size >= this.#max && !this.#leaveOut(share)) return undefined
    const isFirst = this.#size === 0
    this.#size += 1
    const waited = new Promise<boolean>((resolve) => {
      const end = (mayTry: boolean): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', giveUp)
        resolve(mayTry)
      }
      const waiter = { share, sinceMs: performance.now(), end }
      const giveUp = (): void => {
        this.#remove(waiter)
        end(true)
      }
      const timer = setTimeout(giveUp, ms)
      timer.unref() // the visitor's connection keeps the process alive, not its wait
      signal.addEventListener('abort', giveUp, { once: true })
      const waiters = this.#shares.get(share)
      if (waiters === undefined) this.#shares.set(share, [waiter])
      else waiters.push(waiter)
      if (signal.aborted) giveUp()
    })
    if (isFirst && this.#size > 0) void this.#grant()
    return waited
  }

  /** Lets visitors try as often as there is room, until none waits. */
  async #grant(): Promise<void> {
    const { signal } = this.#isOver
    while (this.#size > 0) {
      await this.#room.whenRoom({ signal }).catch(() => {})
      // A session that is over has no room: its visitors look for another.
      let free = this.#room.openable
      for (; free > 0 && this.#size > 0; free -= 1) this.#next()?.end(true)
      // They open their streams before the next look.
      if (this.#size > 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Takes the one whose turn it is. */
  #next(): Waiter | undefined {
    for (const [share, waiters] of this.#shares) {
      const oldestMs = performance.now() - (waiters[0]?.sinceMs ?? 0)
      const waiter = oldestMs > NEWEST_FIRST_MS ? waiters.at(-1) : waiters[0]
      if (waiter === undefined) return undefined
      this.#remove(waiter)
      if (this.#shares.delete(share) && waiters.length > 0) this.#shares.set(share, waiters)
      return waiter
    }
    return undefined
  }

  /** Leaves the newest of the longest share out, for one of a share that has fewer. */
  #leaveOut(share: string): boolean {
    let longest: Waiter[] = []
    for (const waiters of this.#shares.values()) {
      if (waiters.length > longest.length) longest = waiters
    }
    const newest = longest.at(-1)
    const has = this.#shares.get(share)?.length ?? 0
    if (newest === undefined || has + 1 >= longest.length) return false
    this.#remove(newest)
    newest.end(false)
    return true
  }

  #remove(waiter: Waiter): void {
    const waiters = this.#shares.get(waiter.share)
    const at = waiters?.lastIndexOf(waiter) ?? -1
    if (waiters === undefined || at < 0) return
    waiters.splice(at, 1)
    if (waiters.length === 0) this.#shares.delete(waiter.share)
    this.#size -= 1
    if (this.#size > 0) return
    this.#isOver.abort()
    this.#onEmpty()
  }
}
