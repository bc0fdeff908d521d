import { type ChannelSink, isMuxError } from '@proj/mux'
import type { ResetReason } from '@proj/tunnel'
import type { Upstream } from '@proj/tunnel/server'

import type { CarrierStream } from './carrier-stream.ts'
import { answerToReset, EDGE_ANSWERS, type EdgeAnswer } from './edge-answer.ts'
import type { EdgeContext } from './edge-context.ts'
import type { Route } from './route-request.ts'

/** Streams one request may be offered to, the first one included. */
const MAX_ATTEMPTS = 2

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether doing a request twice is as good as doing it once. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/**
 * Finding a stream for one request, and a second one when the first proves not to have brought it
 * to the service. For that, what was sent is remembered as long as it is little.
 */
export class Attempts {
  readonly #edge: EdgeContext
  readonly #route: Route
  #tried: ReadonlySet<Upstream> | undefined
  #count = 0
  #sent: Buffer[] | undefined = []
  #sentBytes = 0
  #isAnswered = false
  #failure: EdgeAnswer | undefined
  #busy: Upstream | undefined

  constructor(edge: EdgeContext, route: Route) {
    this.#edge = edge
    this.#route = route
  }

  /** Whether what was sent is still referred to. */
  get remembers(): boolean {
    return this.#sent !== undefined
  }

  /** What to answer when no stream can be had. */
  get failure(): EdgeAnswer {
    return this.#failure ?? EDGE_ANSWERS.noUpstream
  }

  /** Remembers bytes of the request, or gives up remembering when they become too many. */
  remember(bytes: Buffer): void {
    if (this.#sent === undefined) return
    this.#sentBytes += bytes.length
    if (this.#sentBytes > this.#edge.options.maxReplayBytes) this.#sent = undefined
    else this.#sent.push(bytes)
  }

  /** The service answers: the request is not offered again. */
  answered(): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#sent = undefined
    this.#edge.registry.report(this.#route.endpoint, 'ok')
  }

  /** A stream broke before an answer: whoever asks for the state of the endpoint is told why. */
  failed(reason: ResetReason): void {
    this.#edge.registry.report(this.#route.endpoint, reason)
  }

  /** Opens the first stream: an idle one where there is one. */
  first(sink: ChannelSink): CarrierStream | undefined {
    return this.#open(sink, false)
  }

  /**
   * Offers the request to another stream, from its first byte.
   *
   * @param failed - the stream that failed.
   * @param reason - why, if it was told; one that the upstream is to blame for rules it out.
   */
  next(
    sink: ChannelSink,
    failed: CarrierStream,
    reason: ResetReason | undefined,
  ): CarrierStream | undefined {
    this.#failure = reason === undefined ? EDGE_ANSWERS.serviceClosed : answerToReset(reason)
    if (reason !== undefined && !failed.reused) this.#tried = withOne(this.#tried, failed.upstream)
    if (this.#sent === undefined || this.#count >= MAX_ATTEMPTS) return undefined
    const stream = this.#open(sink, true)
    if (stream !== undefined) for (const piece of this.#sent) stream.channel.write(piece)
    return stream
  }

  /**
   * Waits until an upstream that took no more streams at once takes some again.
   *
   * @returns undefined when none was merely busy.
   */
  whenRoom(signal: AbortSignal): Promise<void> | undefined {
    return this.#busy?.whenRoom({ signal })
  }

  #open(sink: ChannelSink, isFresh: boolean): CarrierStream | undefined {
    this.#count += 1
    this.#busy = undefined
    const { registry, pool } = this.#edge
    const { endpoint, rules, forward } = this.#route
    // Time has passed since the visitor was judged: who came meanwhile may demand more of it.
    if (this.#count > 1 && registry.rules(endpoint) !== rules) return undefined
    let passed = this.#tried
    for (;;) {
      const upstream = registry.pick(endpoint, passed)
      if (upstream === undefined) return undefined
      const idle = isFresh ? undefined : pool.take(upstream, endpoint.name)
      if (idle !== undefined) {
        idle.channel.attach(sink)
        return idle
      }
      try {
        return pool.open(upstream, endpoint.name, forward.requestId, sink)
      } catch (error) {
        passed = withOne(passed, upstream) // leaving or full; the session reports itself
        if (isMuxError(error, 'MUX_ACK_BACKLOG')) this.#busy = upstream
      }
    }
  }
}

/** Nearly every request is over after one try: there is no set before there is something in it. */
function withOne(set: ReadonlySet<Upstream> | undefined, one: Upstream): ReadonlySet<Upstream> {
  return new Set(set).add(one)
}
