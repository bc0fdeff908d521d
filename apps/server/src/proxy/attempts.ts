import { type ChannelSink, isMuxError } from '@proj/mux'
import type { ResetReason } from '@proj/tunnel/io'
import { isBusy, type Upstream } from '@proj/tunnel/server'

import type { ProxyContext } from './proxy-context.ts'
import { errorForReset, PROXY_ERRORS, type ProxyError } from './proxy-errors.ts'
import type { Route } from './route-request.ts'
import type { StreamOwner, UpstreamStream } from './stream-pool.ts'

/** Streams one request may be offered to, the first one included. */
const MAX_ATTEMPTS = 2

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether a request with this method may be sent twice. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/**
 * Finds a stream for one request. Retries once if the first stream did not reach the service; keeps up to
 * `maxReplayBytes` to send again.
 */
export class Attempts {
  readonly #proxy: ProxyContext
  readonly #route: Route
  readonly #isOnce: boolean
  #tried: ReadonlySet<Upstream> | undefined
  #count = 0
  #sent: Buffer[] | undefined = []
  #sentBytes = 0
  #isAnswered = false
  #failure: ProxyError | undefined
  #busy: Upstream | undefined
  #isFull = false
  #busyUntilMs: number | undefined

  constructor(proxy: ProxyContext, route: Route, method: string) {
    this.#proxy = proxy
    this.#route = route
    this.#isOnce = !isIdempotent(method)
  }

  /** Whether what was sent is still referred to. */
  get remembers(): boolean {
    return this.#sent !== undefined
  }

  /** The error when there is no stream for the request. */
  get failure(): ProxyError {
    if (this.#failure !== undefined) return this.#failure
    const isTcpOnly = this.#proxy.registry.isTcpOnly(this.#route.endpoint)
    return isTcpOnly ? PROXY_ERRORS.endpointNotHttp : PROXY_ERRORS.noUpstream
  }

  /** Remembers bytes of the request, or stops remembering when there are too many. */
  remember(bytes: Buffer): void {
    if (this.#sent === undefined) return
    this.#sentBytes += bytes.length
    if (this.#sentBytes > this.#proxy.options.maxReplayBytes) this.#sent = undefined
    else this.#sent.push(bytes)
  }

  /** The service answers: the request is not sent again. */
  answered(): void {
    if (this.#isAnswered) return
    this.#isAnswered = true
    this.#sent = undefined
    this.#proxy.registry.report(this.#route.endpoint, 'ok')
  }

  /** A stream broke before a response: the status of the endpoint says why. */
  failed(reason: ResetReason): void {
    this.#proxy.registry.report(this.#route.endpoint, reason)
  }

  /**
   * Opens the first stream: an idle one where there is one.
   *
   * @param owner - the visitor's connection, if it may have a stream that others may not.
   */
  first(sink: ChannelSink, owner: StreamOwner | undefined): UpstreamStream | undefined {
    return this.#open(sink, false, owner)
  }

  /**
   * Sends the request on another stream, from its first byte.
   *
   * @param failed - the stream that failed.
   * @param reason - why, if the agent said so; then its upstream is not tried again, unless the stream was a reused one.
   */
  next(
    sink: ChannelSink,
    failed: UpstreamStream,
    reason: ResetReason | undefined,
  ): UpstreamStream | undefined {
    this.#failure = reason === undefined ? PROXY_ERRORS.serviceClosed : errorForReset(reason)
    if (reason !== undefined && !failed.reused) this.#tried = withOne(this.#tried, failed.upstream)
    if (this.#sent === undefined || this.#count >= MAX_ATTEMPTS) return undefined
    const stream = this.#open(sink, true)
    if (stream !== undefined) for (const piece of this.#sent) stream.channel.write(piece)
    return stream
  }

  /**
   * Waits until an upstream that had too many unacknowledged or open streams may take some again.
   *
   * @returns undefined when that was not what kept the request from a stream, or when it waited for as long
   *   as it may; `failure` says which.
   */
  whenRoom(signal: AbortSignal): Promise<void> | undefined {
    if (this.#busy === undefined) return undefined
    const { waits } = this.#proxy.registry
    this.#busyUntilMs ??= waits.busyUntil()
    const room = waits.whenRoom(this.#busy, this.#busyUntilMs, signal)
    if (room === undefined) {
      this.#failure = this.#isFull ? PROXY_ERRORS.agentFull : PROXY_ERRORS.agentBusy
    }
    return room
  }

  /** Address of the visitor; undefined behind a trusted proxy, whose address all visitors have. */
  get #source(): string | undefined {
    return this.#proxy.options.trustedHops === 0 ? this.#route.forward.clientAddress : undefined
  }

  #open(sink: ChannelSink, isFresh: boolean, owner?: StreamOwner): UpstreamStream | undefined {
    this.#count += 1
    this.#busy = undefined
    const { registry, pool } = this.#proxy
    const { endpoint, rules, forward } = this.#route
    // Time has passed since the visitor was checked: an agent that came meanwhile may have other rules.
    if (this.#count > 1 && registry.rules(endpoint) !== rules) return undefined
    let passed = this.#tried
    for (;;) {
      const upstream = registry.pickHttp(endpoint, passed)
      if (upstream === undefined) return undefined
      const once = this.#isOnce
      const idle = isFresh ? undefined : pool.take(upstream, endpoint.name, owner, once)
      if (idle !== undefined) {
        idle.channel.attach(sink)
        return idle
      }
      const reached = registry.reachedQuota(upstream, endpoint, this.#source)
      if (reached !== undefined) {
        this.#failure = reached === 'source' ? PROXY_ERRORS.sourceQuota : PROXY_ERRORS.endpointQuota
        passed = withOne(passed, upstream)
        continue
      }
      try {
        return pool.open(upstream, endpoint.name, forward.requestId, sink)
      } catch (error) {
        passed = withOne(passed, upstream) // leaving or full; the session reports itself
        if (!isBusy(error)) continue
        // The first one: those that do not answer are tried last.
        if (this.#busy !== undefined) continue
        this.#busy = upstream
        this.#isFull = isMuxError(error, 'MUX_STREAM_LIMIT')
      }
    }
  }
}

/** Nearly every request ends after one attempt, so there is no set before there is something in it. */
function withOne(set: ReadonlySet<Upstream> | undefined, one: Upstream): ReadonlySet<Upstream> {
  return new Set(set).add(one)
}
