import type { Agent, Consumer } from '@proj/tunnel'

/** The last failure to connect to the server. */
export interface ConnectionProblem {
  readonly error: unknown
  /** When, ms since the epoch. */
  readonly at: number
  /** When the next attempt is made, ms since the epoch. */
  readonly nextAttemptAt: number
}

/** Remembers the state of the connection that an agent or a consumer has with the server. */
export class ConnectionMonitor {
  #connectedAt: number | undefined
  #problem: ConnectionProblem | undefined

  constructor(half: Agent | Consumer) {
    // Both emit these events, but TypeScript finds no common signature of `on` in a union.
    const events = half as Consumer
    events.on('connected', () => {
      this.#connectedAt ??= Date.now()
      this.#problem = undefined
    })
    events.on('retry', ({ error, delayMs }) => {
      const at = Date.now()
      const nextAttemptAt = at + delayMs
      this.#problem = { error: error ?? this.#problem?.error, at, nextAttemptAt }
      if (!this.#isUp()) this.#connectedAt = undefined
    })
    this.#isUp = () => ('sessions' in half ? half.sessions > 0 : half.protocol !== undefined)
  }

  readonly #isUp: () => boolean

  /** Whether there is a session with the server now. */
  get isUp(): boolean {
    return this.#isUp()
  }

  /** Since when there is a session, ms since the epoch. */
  get connectedAt(): number | undefined {
    return this.#isUp() ? this.#connectedAt : undefined
  }

  /** The last failure; undefined after the next success. */
  get problem(): ConnectionProblem | undefined {
    return this.#problem
  }
}
