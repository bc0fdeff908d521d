import { type RequestHead, visitorScheme } from '@proj/http1'
import { type ChannelSink, isMuxError } from '@proj/mux'
import type { ResetReason } from '@proj/tunnel/io'
import { areEqualRules, isBusy, type Upstream } from '@proj/tunnel/server'

import type { ProxyContext } from './proxy-context.ts'
import { errorForReset, PROXY_ERRORS, type ProxyError } from './proxy-errors.ts'
import type { Route } from './route-request.ts'
import { agentCookieLine, agentKeysIn } from './sticky-cookie.ts'
import type { StreamOwner, UpstreamStream } from './stream-pool.ts'

/** Streams one request may fail on: an agent has two sessions by default, and comes back when both are lost. */
const MAX_ATTEMPTS = 3

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether a request with this method may be sent twice. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

/**
 * Finds a stream for one request, and others when it did not reach the service; keeps up to `maxReplayBytes`
 * to send again.
 */
export class Attempts {
  readonly #proxy: ProxyContext
  readonly #route: Route
  readonly #isOnce: boolean
  readonly #isByCookie: boolean
  #tried: ReadonlySet<Upstream> | undefined
  #failures = 0
  #isFirst = true
  #sent: Buffer[] | undefined = []
  #sentBytes = 0
  #isAnswered = false
  #failure: ProxyError | undefined
  #busy: Upstream | undefined
  #isFull = false
  #busyUntilMs: number | undefined
  /** No session serves the endpoint any more, or none of the nodes that this one knows of takes the request. */
  #isAbsent = false
  /** Whether it failed last because a node, or its agent, was not there any more. */
  #isStale = true
  /** Whether the last search found no session, and not for a quota. */
  #isUntaken = false
  #hasWaited = false

  /** What the choice of an agent goes by: the visitor's address, or the key of the agent of its cookie. */
  readonly #visitor: string | undefined

  constructor(proxy: ProxyContext, route: Route, request: RequestHead) {
    this.#proxy = proxy
    this.#route = route
    this.#isOnce = !isIdempotent(request.method)
    const { endpoint, forward } = route
    const { registry } = proxy
    this.#isByCookie = registry.isByCookie(endpoint)
    this.#visitor = this.#isByCookie
      ? registry.findByKey(endpoint, agentKeysIn(request))
      : forward.visitor
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

  /** The line of an answer that binds the visitor to the agent that gave it; undefined: it is bound, or not to be. */
  cookieFor({ upstream }: UpstreamStream, request: RequestHead): string | undefined {
    if (!this.#isByCookie) return undefined
    const { endpoint, forward } = this.#route
    const key = this.#proxy.registry.keyOf(endpoint, upstream)
    if (key === undefined || key === this.#visitor) return undefined
    return agentCookieLine(key, visitorScheme(request, forward) === 'https')
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
   * @param isFresh - whether it has to be a new one.
   */
  first(
    sink: ChannelSink,
    owner: StreamOwner | undefined,
    isFresh: boolean,
  ): UpstreamStream | undefined {
    const stream = this.#open(sink, isFresh, owner, undefined)
    this.#isAbsent = stream === undefined && this.#isLostElsewhere
    return stream
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
    this.#isStale = reason === 'notHere' || reason === 'upstreamLost' || reason === 'draining'
    if (reason !== undefined && !failed.reused) this.#tried = withOne(this.#tried, failed.upstream)
    this.#failures += 1
    if (this.#failures >= MAX_ATTEMPTS) this.#sent = undefined
    return this.again(sink)
  }

  /** Sends the request once more, after a wait. */
  again(sink: ChannelSink): UpstreamStream | undefined {
    this.#busy = undefined
    const stream = this.#repeat(sink, this.#tried)
    const isPossible = stream === undefined && this.#sent !== undefined
    const { registry } = this.#proxy
    const { endpoint } = this.#route
    this.#isAbsent = isPossible && (registry.count(endpoint) === 0 || this.#isLostElsewhere)
    return stream
  }

  /** Whether the nodes that serve the endpoint, as far as this one knows, have lost it or cannot be reached. */
  get #isLostElsewhere(): boolean {
    return (
      this.#isStale && this.#isUntaken && this.#proxy.registry.isElsewhere(this.#route.endpoint)
    )
  }

  /**
   * Sends the request on a stream of another session as well.
   *
   * @param silent - the stream whose session does not answer.
   * @returns undefined when no other takes it: then there is still this stream.
   */
  elsewhere(sink: ChannelSink, silent: UpstreamStream): UpstreamStream | undefined {
    return this.#repeat(sink, withOne(this.#tried, silent.upstream))
  }

  /**
   * Waits until an upstream that had too many unacknowledged or open streams may take some again, or until an
   * endpoint whose last session was lost with the request is served again.
   *
   * @returns undefined when that was not what kept the request from a stream, or when it waited for as long
   *   as it may; `failure` says which.
   */
  whenPossible(signal: AbortSignal): Promise<void> | undefined {
    const { waits } = this.#proxy.registry
    if (this.#busy === undefined) {
      if (!this.#isAbsent || this.#hasWaited) return undefined
      this.#hasWaited = true
      this.#tried = undefined // what is served then is to be seen then
      return waits.whenServed(this.#route.endpoint, signal, this.#isLostElsewhere)
    }
    this.#busyUntilMs ??= waits.busyUntil()
    const { endpoint } = this.#route
    const room = waits.whenRoom(this.#busy, endpoint, this.#source, this.#busyUntilMs, signal)
    if (room === undefined) {
      this.#failure = this.#isFull ? PROXY_ERRORS.agentFull : PROXY_ERRORS.agentBusy
    }
    return room?.then((mayTry) => {
      // It has lost its place: when there is no room now, it does not wait again.
      if (!mayTry) this.#busyUntilMs = -Infinity
    })
  }

  #repeat(
    sink: ChannelSink,
    except: ReadonlySet<Upstream> | undefined,
  ): UpstreamStream | undefined {
    const sent = this.#sent
    if (sent === undefined) return undefined
    const stream = this.#open(sink, true, undefined, except)
    if (stream !== undefined) for (const piece of sent) stream.channel.write(piece)
    return stream
  }

  /** Address of the visitor; undefined behind a trusted proxy, whose address all visitors have. */
  get #source(): string | undefined {
    const { trustedHops, clientAddress } = this.#route.forward
    return trustedHops === 0 ? clientAddress : undefined
  }

  #open(
    sink: ChannelSink,
    isFresh: boolean,
    owner: StreamOwner | undefined,
    except: ReadonlySet<Upstream> | undefined,
  ): UpstreamStream | undefined {
    const isFirst = this.#isFirst
    this.#isFirst = false
    this.#busy = undefined
    this.#isUntaken = false
    const { registry, pool } = this.#proxy
    const { endpoint, rules, forward } = this.#route
    // Time has passed since the visitor was checked: an agent that came meanwhile may have other rules.
    if (!isFirst && !areEqualRules(registry.rules(endpoint), rules)) return undefined
    let passed = except
    let isOverQuota = false
    for (;;) {
      const kept = isFresh ? undefined : owner?.kept?.upstream
      const upstream = registry.pickHttp(endpoint, passed, this.#visitor, kept)
      if (upstream === undefined) {
        this.#isUntaken = !isOverQuota && !registry.isTcpOnly(endpoint)
        return undefined
      }
      const once = this.#isOnce
      const isNew = isFresh || registry.isDown(endpoint, upstream)
      const idle = isNew ? undefined : pool.take(upstream, endpoint.name, owner, once)
      if (idle !== undefined) {
        idle.channel.attach(sink)
        if (upstream.isRemote !== true) this.#proxy.stats.upstreamRequests += 1
        return idle
      }
      const reached = registry.reachedQuota(upstream, endpoint, this.#source)
      if (reached !== undefined) {
        this.#failure = reached === 'source' ? PROXY_ERRORS.sourceQuota : PROXY_ERRORS.endpointQuota
        isOverQuota = true
        passed = withOne(passed, upstream)
        continue
      }
      try {
        const stream = pool.open(upstream, endpoint.name, forward.requestId, sink)
        if (upstream.isRemote !== true) this.#proxy.stats.upstreamRequests += 1
        return stream
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
