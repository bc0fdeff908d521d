/** Callers that wait for the same thing, in order, each abortable by its own signal. */
import { addAbortListener } from 'node:events'

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A line of callers. */
export class Waiters {
  readonly #line = new Set<Waiter>()

  /** Resolves when it is the caller's turn; rejects with the signal's reason. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        listener?.[Symbol.dispose]()
        this.#line.delete(waiter)
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
      this.#line.add(waiter)
    })
  }

  /** Lets the first caller go. */
  release(): void {
    for (const waiter of this.#line) {
      waiter.resolve()
      return
    }
  }

  /** Lets all callers go. */
  releaseAll(): void {
    for (const waiter of this.#line) waiter.resolve()
  }

  /** Rejects all callers. */
  rejectAll(error: unknown): void {
    for (const waiter of this.#line) waiter.reject(error)
  }
}
