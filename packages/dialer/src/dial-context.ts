import { performance } from 'node:perf_hooks'

import { withDeadline } from './deadline.ts'
import { DialError, type DialLeg, type DialPhase } from './dial-error.ts'
import type { DialErrorCode } from './errors.ts'
import { isDialError } from './is-dial-error.ts'
import type { ResolvedDialOptions } from './options.ts'

/** What `onEvent` hears: a step that started, or how it ended. */
export interface DialEvent {
  /** Which step. */
  readonly phase: DialPhase
  /** Towards whom. */
  readonly leg: DialLeg
  /** How far it is. */
  readonly state: 'started' | 'succeeded' | 'failed'
  /** What it is about, or what came of it; never holds credentials. */
  readonly detail: string
  /** Time since the step started, ms. */
  readonly elapsedMs: number
}

/** A step of a dial: its name, its limit, and the error for running out of time. */
export interface DialStep {
  readonly phase: DialPhase
  readonly leg: DialLeg
  /** What it is about, such as `tunnel.example.com:443`. */
  readonly about: string
  readonly limitMs: number
  readonly expired: () => DialError
}

/** One dial under way: runs its steps, tells the listener, and remembers how far it came. */
export class DialContext {
  readonly options: ResolvedDialOptions
  #signal: AbortSignal | undefined
  #step: DialStep | undefined

  private constructor(options: ResolvedDialOptions) {
    this.options = options
  }

  /**
   * Runs a dial under its total limit.
   * @throws {DialError} DIAL_DEADLINE when the total is used up before any single step's limit
   */
  static async run<T>(
    options: ResolvedDialOptions,
    run: (context: DialContext, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { totalMs } = options.timeouts
    const context = new DialContext(options)
    const expired = (): Error =>
      new DialError('DIAL_DEADLINE', `not done after ${seconds(totalMs)}${context.#where()}`, {
        phase: context.#step?.phase ?? 'connect',
        leg: context.#step?.leg ?? 'server',
        hint: 'raise the total limit, or find out which step is slow with diagnose',
      })
    return withDeadline(totalMs, options.signal, expired, (signal) => {
      context.#signal = signal
      return run(context, signal)
    })
  }

  /**
   * Runs one step under its own limit.
   * @param describe - says in a clause what came of it
   */
  async step<T>(
    step: DialStep,
    run: (signal: AbortSignal) => Promise<T>,
    describe: (result: T) => string,
  ): Promise<T> {
    const startedAt = performance.now()
    this.#step = step
    this.#tell(step, 'started', step.about, startedAt)
    try {
      const result = await withDeadline(step.limitMs, this.#signal, step.expired, run)
      this.#tell(step, 'succeeded', describe(result), startedAt)
      return result
    } catch (error) {
      this.#tell(step, 'failed', isDialError(error) ? error.message : 'cancelled', startedAt)
      throw error
    }
  }

  #where(): string {
    return this.#step === undefined ? '' : `, in the step ${this.#step.phase} (${this.#step.about})`
  }

  #tell(step: DialStep, state: DialEvent['state'], detail: string, startedAt: number): void {
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
      // A listener that throws must not change the outcome of the dial.
    }
  }
}

/** Makes the error of a step that ran out of time. */
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

/** Renders a duration as seconds with at most one decimal. */
export function seconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))} s`
}
