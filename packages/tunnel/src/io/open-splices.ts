import { abortable } from '../abortable.ts'
import type { ResetReason } from '../protocol/reset-reason.ts'
import type { SocketSplice } from './socket-splice.ts'

/** Splices that are open now: waits for their ends, or brings them about. */
export class OpenSplices {
  readonly #open = new Set<SocketSplice>()
  #whenEmpty: (() => void) | undefined

  /** How many are open. */
  get size(): number {
    return this.#open.size
  }

  /** A splice is open from now on. */
  add(splice: SocketSplice): void {
    this.#open.add(splice)
  }

  /** A splice is over. */
  delete(splice: SocketSplice): void {
    if (this.#open.delete(splice) && this.#open.size === 0) this.#whenEmpty?.()
  }

  /** Waits until none is open, or the signal is aborted; never rejects. */
  async drained(signal: AbortSignal): Promise<void> {
    if (this.#open.size === 0 || signal.aborted) return
    const empty = new Promise<void>((resolve) => (this.#whenEmpty = resolve))
    await abortable(empty, signal).catch(() => {})
  }

  /** Ends all of them now; both sides see a reset, the agent with this reason. */
  abort(reason: ResetReason): void {
    for (const splice of this.#open) splice.abort(reason)
  }
}
