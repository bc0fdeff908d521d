import type { ForwardRequestOptions, TraceForService } from '@proj/http1'
import type { Endpoint } from '@proj/tunnel/server'

/** Where a request goes. */
export interface ObservedRoute {
  readonly endpoint: Endpoint
  readonly forward: ForwardRequestOptions & { readonly requestId: string }
}

/** Is told how far a request has come: the access log and traces. Made when the head has come. */
export interface RequestObserver {
  /** The context of a trace that the service gets. Default: that of the request. */
  readonly trace?: TraceForService | undefined
  /** Its endpoint is found, and the visitor admitted. */
  routed(route: ObservedRoute): void
  /** It has no route, and its answer told this identifier. */
  identified(requestId: string): void
  /** It is on a stream to an agent; the last one counts. */
  sent(agent: string): void
  /** The head of the answer has come. */
  answered(): void
  /**
   * It is over.
   *
   * @param outcome - `ok`, or a stable code that says what ended it.
   * @param status - of the answer; 0: none was sent.
   */
  end(
    kind: 'request' | 'upgrade',
    outcome: string,
    status: number,
    bytesIn: number,
    bytesOut: number,
  ): void
}

/** Tells two. The first one decides about the context of the trace. */
export class ObserverPair implements RequestObserver {
  readonly #first: RequestObserver
  readonly #second: RequestObserver

  constructor(first: RequestObserver, second: RequestObserver) {
    this.#first = first
    this.#second = second
  }

  get trace(): TraceForService | undefined {
    return this.#first.trace
  }

  routed(route: ObservedRoute): void {
    this.#first.routed(route)
    this.#second.routed(route)
  }

  identified(requestId: string): void {
    this.#first.identified(requestId)
    this.#second.identified(requestId)
  }

  sent(agent: string): void {
    this.#first.sent(agent)
    this.#second.sent(agent)
  }

  answered(): void {
    this.#first.answered()
    this.#second.answered()
  }

  end(...over: Parameters<RequestObserver['end']>): void {
    this.#first.end(...over)
    this.#second.end(...over)
  }
}
