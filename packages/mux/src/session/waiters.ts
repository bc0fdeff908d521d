/** Callers that wait for the same thing, in order, each with an AbortSignal of its own. */
import { addAbortListener } from 'node:events'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A queue of callers. */
export class Waiters {
  readonly #queue = new Set<Waiter>()

  /** Resolves when the caller is released; rejects with the signal's reason. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        listener?.[Symbol.dispose]()
        this.#queue.delete(waiter)
      }
      const waiter: Waiter = {
        resolve: () => {
          leave()
          resolve()
        },
        reject: (error) => {
          leave()
          reject(error)
        },
      }
      const listener = signal && addAbortListener(signal, () => waiter.reject(signal.reason))
      this.#queue.add(waiter)
    })
  }

  /** Resolves the first caller. */
  release(): void {
    for (const waiter of this.#queue) {
      waiter.resolve()
      return
    }
  }

  releaseAll(): void {
    for (const waiter of this.#queue) waiter.resolve()
  }

  rejectAll(error: unknown): void {
    for (const waiter of this.#queue) waiter.reject(error)
  }
}
