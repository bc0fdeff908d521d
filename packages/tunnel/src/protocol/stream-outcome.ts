import type { MuxError } from '@proj/mux'

import { type ResetReason, resetReasonName } from './reset-reason.ts'

/** The outcome of a stream to a service: it answered, or why not. */
export type StreamOutcome = 'ok' | ResetReason

/** The outcome of the last stream to an endpoint's service. */
export interface LastOutcome {
  /** `ok`, or the reason the agent gave. */
  readonly outcome: StreamOutcome
  /** How long ago that was, ms. */
  readonly ageMs: number
}

/**
 * Watches one stream to an agent and reports its outcome: that the service answered, as soon as it
 * does, and why the stream broke, if it did. A stream that the visitor's side ended reports nothing.
 */
export class OutcomeWatch {
  readonly #tell: (outcome: StreamOutcome) => void
  #answered = false

  /** @param tell - called at most twice: for the answer, then for what broke the stream. */
  constructor(tell: (outcome: StreamOutcome) => void) {
    this.#tell = tell
  }

  /** Something came from the service, a byte or its end. */
  answered(): void {
    if (this.#answered) return
    this.#answered = true
    this.#tell('ok')
  }

  /** The stream is over. */
  closed(error: MuxError | undefined): void {
    if (error === undefined) this.answered()
    else if (error.code === 'MUX_STREAM_RESET') this.#tell(resetReasonName(error.reason))
    else if (error.code !== 'MUX_STREAM_ABORTED') this.#tell('upstreamLost')
  }
}
