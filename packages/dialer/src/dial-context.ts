import { performance } from 'node:perf_hooks'

import { withDeadline } from './deadline.ts'
import {
  DialError,
  type DialErrorCode,
  type DialLeg,
  type DialPhase,
  isDialError,
} from './errors.ts'
import type { DialEvent, ResolvedDialOptions } from './options.ts'

/** A step of a dial: its name, its time limit, and the error for a timeout. */
export interface DialStep {
  readonly phase: DialPhase
  readonly leg: DialLeg
  /** The target of the step, such as `tunnel.example.com:443`. */
  readonly about: string
  readonly limitMs: number
  readonly expired: () => DialError
}

/** One running dial: runs its steps, calls the listener, and knows the current step. */
export class DialContext {
  readonly options: ResolvedDialOptions
  #signal: AbortSignal | undefined
  #step: DialStep | undefined

  private constructor(options: ResolvedDialOptions) {
    this.options = options
  }

  /**
   * Runs a dial within its total time.
   * @throws {DialError} DIAL_DEADLINE when the total time ends before the limit of a step
   */
  static async run<T>(
    options: ResolvedDialOptions,
    run: (context: DialContext, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { totalMs } = options.timeouts
    const context = new DialContext(options)
    const expired = (): Error =>
      new DialError(
        'DIAL_DEADLINE',
        `the dial took longer than ${seconds(totalMs)}${context.#where()}`,
        {
          phase: context.#step?.phase ?? 'connect',
          leg: context.#step?.leg ?? options.targetName,
          hint: 'increase the total timeout, or find the slow step with diagnose',
        },
      )
    return withDeadline(totalMs, options.signal, expired, (signal) => {
      context.#signal = signal
      return run(context, signal)
    })
  }

  /**
   * Runs one step within its own time limit.
   * @param describe - returns the result as a clause
   */
  async step<T>(
    step: DialStep,
    run: (signal: AbortSignal) => Promise<T>,
    describe: (result: T) => string,
  ): Promise<T> {
    const startedAt = performance.now()
    this.#step = step
    this.#report(step, 'started', step.about, startedAt)
    try {
      const result = await withDeadline(step.limitMs, this.#signal, step.expired, run)
      this.#report(step, 'succeeded', describe(result), startedAt)
      return result
    } catch (error) {
      this.#report(step, 'failed', isDialError(error) ? error.message : 'cancelled', startedAt)
      throw error
    }
  }

  #where(): string {
    return this.#step === undefined ? '' : `, in the step ${this.#step.phase} (${this.#step.about})`
  }

  #report(step: DialStep, state: DialEvent['state'], detail: string, startedAt: number): void {
    const { phase, leg } = step
    try {
      this.options.onEvent?.({
        phase,
        leg,
        state,
        detail,
        elapsedMs: performance.now() - startedAt,
      })
    } catch {
      // A listener that throws must not change the result of the dial.
    }
  }
}

/** Makes the error of a step that took too long. */
export function timedOut(
  code: DialErrorCode,
  phase: DialPhase,
  leg: DialLeg,
  message: string,
  limitMs: number,
  hint?: string,
): DialError {
  return new DialError(code, `${message} within ${seconds(limitMs)}`, { phase, leg, hint })
}

/** Formats a duration in seconds with at most one decimal. */
export function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))} s`
}
