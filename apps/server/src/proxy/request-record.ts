import type { ForwardRequestOptions, RequestHead } from '@proj/http1'
import type { Endpoint } from '@proj/tunnel/server'

import type { RequestTrace } from '../tracing/request-trace.ts'

/** Where a request goes. */
export interface RecordedRoute {
  readonly endpoint: Endpoint
  readonly forward: ForwardRequestOptions & { readonly requestId: string }
}

/** How a request ended. */
export interface RequestEnd {
  readonly kind: 'request' | 'upgrade'
  /** `ok`, or a stable code that says what ended it. */
  readonly outcome: string
  /** Of the answer; 0: none was sent. */
  readonly status: number
  /** Bytes from the visitor and to it, heads included. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** When it was over, ms after its start. */
  readonly totalMs: number
}

/** Takes the record of each request that is over. */
export interface RecordSink {
  request(record: RequestRecord, end: RequestEnd): void
}

/** Who takes records; undefined: it is not there. */
export interface RecordSinks {
  readonly accessLog: RecordSink | undefined
  readonly tracer: RecordSink | undefined
}

/** How far a request has come, for the access log and traces. Made when its head has come. */
export class RequestRecord {
  /** When its head had come, ms since the epoch. */
  readonly startMs: number = Date.now()
  readonly head: RequestHead
  /** Address of the visitor; undefined when a trusted proxy did not say. */
  readonly client: string | undefined
  /** Of the visitor's connection. */
  readonly scheme: 'http' | 'https'
  /** Undefined: there are no traces. */
  readonly trace: RequestTrace | undefined
  /** Undefined before its endpoint is found, and the visitor admitted. */
  route: RecordedRoute | undefined
  /** The same in the logs of server and agent; undefined before there is one. */
  requestId: string | undefined
  /** Id of the agent that it went to, or of the other node whose agent has it; undefined: none. */
  agent: string | undefined
  /** When it had come as far, ms after `startMs`; undefined: it did not. */
  routedMs: number | undefined
  sentMs: number | undefined
  answeredMs: number | undefined
  readonly #startedMs = performance.now()
  readonly #sinks: RecordSinks

  constructor(
    sinks: RecordSinks,
    head: RequestHead,
    client: string | undefined,
    scheme: 'http' | 'https',
    trace: RequestTrace | undefined,
  ) {
    this.#sinks = sinks
    this.head = head
    this.client = client
    this.scheme = scheme
    this.trace = trace
  }

  /** Its endpoint is found, and the visitor admitted. */
  routed(route: RecordedRoute): void {
    this.route = route
    this.requestId = route.forward.requestId
    this.routedMs = this.#passedMs
  }

  /** It has no route, and its answer told this identifier. */
  identified(requestId: string): void {
    this.requestId = requestId
  }

  /** It is on a stream to an agent; the last one counts. */
  sent(agent: string): void {
    this.agent = agent
    this.sentMs = this.#passedMs
  }

  /** The head of the answer has come. */
  answered(): void {
    this.answeredMs = this.#passedMs
  }

  /** It is over. */
  end(
    kind: RequestEnd['kind'],
    outcome: string,
    status: number,
    bytesIn: number,
    bytesOut: number,
  ): void {
    const end = { kind, outcome, status, bytesIn, bytesOut, totalMs: this.#passedMs }
    this.#sinks.accessLog?.request(this, end)
    this.#sinks.tracer?.request(this, end)
  }

  get #passedMs(): number {
    return performance.now() - this.#startedMs
  }
}
