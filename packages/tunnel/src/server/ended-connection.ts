import type { Endpoint } from '../protocol/endpoint.ts'
import type { ResetReason } from '../protocol/reset-reason.ts'

/** Where a connection comes from, as it shall be shown. */
interface ConnectionOrigin {
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
}

/** A connection to a TCP endpoint that is over, or was rejected. */
export interface EndedConnection {
  /** The endpoint it was for. */
  readonly endpoint: Endpoint
  /** Where it came from. */
  readonly visitor: ConnectionOrigin
  /** The same in the logs of the agent; undefined when it was rejected. */
  readonly requestId: string | undefined
  /** Names the agent; undefined when it was rejected. */
  readonly agent: string | undefined
  /** `ok`: the service answered, or ended it. Otherwise the reason; `consumerGone` before any answer too. */
  readonly outcome: 'ok' | ResetReason
  /** From its begin to the stream to the agent, ms; undefined: it got none. */
  readonly openedMs: number | undefined
  /** From its begin to the first sign of the service, ms; undefined: there was none. */
  readonly answeredMs: number | undefined
  /** From its begin to its end, ms. */
  readonly totalMs: number
  /** Bytes from the visitor. */
  readonly bytesIn: number
  /** Bytes to the visitor. */
  readonly bytesOut: number
}

/** What happens when a connection is over. */
interface AtEnd {
  /** Tells a log of it. */
  readonly tell: ((ended: EndedConnection) => void) | undefined
  /** Gives back what it was counted in. */
  readonly release: (() => void) | undefined
}

/** Follows one connection for a log and for limits, where there are any. */
export class ConnectionWatch {
  readonly #atEnd: AtEnd
  readonly #endpoint: Endpoint
  readonly #visitor: ConnectionOrigin
  readonly #startedMs = performance.now()
  #requestId: string | undefined
  #agent: string | undefined
  #openedMs: number | undefined
  #answeredMs: number | undefined
  #outcome: 'ok' | ResetReason | undefined

  constructor(atEnd: AtEnd, endpoint: Endpoint, visitor: ConnectionOrigin) {
    this.#atEnd = atEnd
    this.#endpoint = endpoint
    this.#visitor = visitor
  }

  /** It has a stream to an agent. */
  opened(agent: string, requestId: string): void {
    this.#agent = agent
    this.#requestId = requestId
    this.#openedMs = this.#passedMs
  }

  /** What became of the service; the last word counts. */
  outcome(outcome: 'ok' | ResetReason): void {
    if (outcome === 'ok') this.#answeredMs ??= this.#passedMs
    this.#outcome = outcome
  }

  /** It is over, or rejected. */
  ended(bytes: { readonly in: number; readonly out: number }, rejection?: ResetReason): void {
    this.#atEnd.release?.()
    this.#atEnd.tell?.({
      endpoint: this.#endpoint,
      visitor: this.#visitor,
      requestId: this.#requestId,
      agent: this.#agent,
      outcome: rejection ?? this.#outcome ?? 'consumerGone',
      openedMs: this.#openedMs,
      answeredMs: this.#answeredMs,
      totalMs: this.#passedMs,
      bytesIn: bytes.in,
      bytesOut: bytes.out,
    })
  }

  get #passedMs(): number {
    return performance.now() - this.#startedMs
  }
}
