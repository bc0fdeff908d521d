import type { SocketSplice } from '@proj/tunnel/io'

import type { Deadlines, Expiring } from './deadlines.ts'

/**
 * Resets a joined connection on which nothing has moved for so long, in either direction. It looks at the
 * bytes the splice has counted, so that a chunk costs nothing.
 *
 * @param timeoutMs - Infinity: it is not watched.
 * @returns stops watching.
 */
export function watchIdle(
  splice: SocketSplice,
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
  readonly #splice: SocketSplice
  readonly #timeoutMs: number
  readonly #deadlines: Deadlines
  #seen = 0

  constructor(splice: SocketSplice, timeoutMs: number, deadlines: Deadlines) {
    this.#splice = splice
    this.#timeoutMs = timeoutMs
    this.#deadlines = deadlines
    this.deadline = deadlines.now + timeoutMs
  }

  expire(): void {
    const moved = this.#splice.bytesFromSocket + this.#splice.bytesToSocket
    if (moved === this.#seen) this.#splice.abort('idleTimeout')
    this.#seen = moved
    this.deadline = this.#deadlines.now + this.#timeoutMs
  }
}
