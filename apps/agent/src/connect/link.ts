import type { Agent, Consumer } from '@proj/tunnel'

/** What went wrong last on the way to the server. */
export interface LinkProblem {
  /** What was thrown. */
  readonly error: unknown
  /** When, ms since the epoch. */
  readonly at: number
  /** When the next attempt is made, ms since the epoch. */
  readonly nextAttemptAt: number
}

/** Watches how one half of the program fares with the server, for the log lines and the status. */
export class Link {
  #connectedAt: number | undefined
  #problem: LinkProblem | undefined

  constructor(half: Agent | Consumer) {
    // Both halves emit the same; of a union TypeScript takes no common signature of `on`.
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

  /** Since when there is one, ms since the epoch. */
  get connectedAt(): number | undefined {
    return this.#isUp() ? this.#connectedAt : undefined
  }

  /** What went wrong last, until the next success. */
  get problem(): LinkProblem | undefined {
    return this.#problem
  }
}
