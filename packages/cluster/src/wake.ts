import type { Clock } from './clock.ts'

/** Something to wait for that can happen again: `set` ends the wait that runs, or else the next one at once. */
export class Wake {
  readonly #clock: Clock
  #isSet = false
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Ends the wait that runs, or the next one. */
  set(): void {
    this.#isSet = true
    this.#wake?.()
  }

  /** Waits until it is set, the time is over or the signal is aborted, whichever is first. Never rejects. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#isSet && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = (): void => {
          cancel()
          signal.removeEventListener('abort', end)
          this.#wake = undefined
          resolve()
        }
        const cancel = ms === Infinity ? () => {} : this.#clock.after(ms, end)
        signal.addEventListener('abort', end, { once: true })
        this.#wake = end
      })
    }
    this.#isSet = false
  }
}
