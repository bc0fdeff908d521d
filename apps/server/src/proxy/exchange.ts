// Length: one state machine; every event of a request and its response is judged against the same state.
import {
  type BodyReader,
  createBodyReader,
  type HttpFault,
  isInterim,
  type RequestHead,
  type ResponseHead,
  rewriteRequestHead,
  visitorKeepAlive,
} from '@proj/http1'
import type { Channel, ChannelSink, ChunkAnswer, MuxError, Session } from '@proj/mux'
import {
  neverReachedService,
  PacedSink,
  RESET_REASONS,
  type ResetReason,
  resetReasonName,
  resetReasonOf,
  sentOn,
  whenProcessed,
} from '@proj/tunnel/io'
import type { AnswerStrictness, StreamReuse } from '@proj/tunnel'
import { DOUBT_MS } from '@proj/tunnel/server'

import { Attempts, isIdempotent } from './attempts.ts'
import type { ProxyContext } from './proxy-context.ts'
import type { LimitLease } from '../endpoint-limits/endpoint-limiter.ts'
import { EventStream, isEventStream } from './event-stream.ts'
import { errorForFault, errorForReset, PROXY_ERRORS, type ProxyError } from './proxy-errors.ts'
import type { RequestRecord } from './request-record.ts'
import { ResponseWriter } from './response-writer.ts'
import type { Route } from './route-request.ts'
import type { StreamOwner, UpstreamStream } from './stream-pool.ts'
import type { VisitorSocket } from './visitor-socket.ts'

/** How an exchange ended; what is left to do is the connection's. */
export type ExchangeOutcome =
  /** Request and response are complete. */
  | { readonly kind: 'complete'; readonly keepAlive: boolean }
  /** The response is complete, the request is not, and nothing reads its rest. */
  | { readonly kind: 'answered-early' }
  /** No response has begun: the visitor gets this error. */
  | { readonly kind: 'failed'; readonly error: ProxyError; readonly requestComplete: boolean }
  /** No response has begun, and the request proved to be malformed. */
  | { readonly kind: 'malformed'; readonly fault: unknown }
  /** The response broke off. `reset`: only a reset tells that from a clean end. */
  | { readonly kind: 'broken'; readonly reset: boolean }
  /** The service switched protocols; `rest` came behind the head of its response. */
  | {
      readonly kind: 'upgraded'
      readonly protocol: string
      readonly channel: Channel
      readonly rest: Buffer
      /** Holds what came behind that, where the endpoint has a bandwidth. */
      readonly paced: PacedSink | undefined
    }
  /** The visitor is gone. */
  | { readonly kind: 'aborted' }

/** Methods whose requests have no body, as far as most services are concerned: RFC 9110 section 9.3. */
const BODYLESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/** The connection that started an exchange. */
export interface ExchangeOwner {
  /** Called once per exchange; nothing else is called before or after. */
  ended(outcome: ExchangeOutcome): void
}

/** Looks at an agent that does not respond, DOUBT_MS apart, before a request waits on without. */
const MAX_DOUBTS = 3

/** Between two looks at whether the service has read on, where it does not take the end of a request, ms. */
const LOOK_MS = 1_000

/**
 * What is left of a request that was answered before it was complete is dropped, up to this many bytes, and the
 * connection stays; beyond, the connection ends.
 */
const MAX_DROPPED_BYTES = 64 * 1024

// Made once: nearly every request ends with one of these.
const COMPLETE: ExchangeOutcome = Object.freeze({ kind: 'complete', keepAlive: true })
const COMPLETE_LAST: ExchangeOutcome = Object.freeze({ kind: 'complete', keepAlive: false })
const ANSWERED_EARLY: ExchangeOutcome = Object.freeze({ kind: 'answered-early' })
const BROKEN: ExchangeOutcome = Object.freeze({ kind: 'broken', reset: false })
const BROKEN_BY_RESET: ExchangeOutcome = Object.freeze({ kind: 'broken', reset: true })
const ABORTED: ExchangeOutcome = Object.freeze({ kind: 'aborted' })

/**
 * One request and its response, spliced between a visitor and a stream to an agent.
 *
 * The connection tells it what the visitor does (`start`, `onRequestBytes`, `onDrain`, `abort`, `expire`,
 * `refuse`); it writes to the visitor's socket, pauses its reading, and reports how it ended, once.
 *
 * Heads are parsed and rewritten; of bodies only the end is looked for. Bytes from the agent are
 * given back to the stream's window when the visitor's socket has room, and the visitor is not read
 * while the stream has none, so neither side can fill this process.
 */
export class Exchange implements ChannelSink {
  readonly #proxy: ProxyContext
  readonly #visitor: VisitorSocket
  readonly #owner: ExchangeOwner
  readonly #route: Route
  readonly #request: RequestHead
  readonly #requestBody: BodyReader
  readonly #attempts: Attempts
  readonly #writer: ResponseWriter
  readonly #record: RequestRecord | undefined
  readonly #maxBodyBytes: number
  /** What streams deliver to: the exchange, or what holds bytes of the answer back for a bandwidth. */
  readonly #sink: ChannelSink
  #paced: PacedSink | undefined
  #bodyBytes = 0
  #stream: UpstreamStream | undefined
  /** Ends the wait for a stream, while there is one. */
  #waiting: AbortController | undefined
  /** What waits for a stream: the head and what came in the same chunk, for the visitor is paused. */
  #unsent: Buffer[] | undefined
  #response: ResponseHead | undefined
  #responseBody: BodyReader | undefined
  #isAnswered = false
  #keepAlive = false
  #isReusable = false
  /** When the stream carries another request; read when it is opened. */
  #reuse: StreamReuse
  /** How answers are read; read when the stream is opened. */
  #strictness: AnswerStrictness = 'lenient'
  /** The connection ends with the answer, which came before the end of a request that it rejects. */
  #isCut = false
  /** The service has closed behind its answer; the rest of the request is dropped. */
  #isDropping = false
  #droppedBytes = 0
  /** Whether the visitor has to read an interim response before the service may send more. */
  #mustDrain = false
  #interimResponses = 0
  #interimBytes = 0
  /** Bytes that were written to the visitor and are not yet given back to the stream's window. */
  #owedBytes = 0
  #isOver = false
  /** Whether it is one of `stats.awaiting`. */
  #isCounted = false
  /** Where a response of server-sent events stands. */
  #events: EventStream | undefined
  #endsEvents = false
  /** Times the silence of the agent was looked at; MAX_DOUBTS: it is not, or not any more. */
  #doubts: number
  /** The visitor may be waiting for 100 Continue before it sends the body. */
  #awaitsContinue: boolean
  /** Bytes that wait for the service to read, as of the last look, and since when there were as many. */
  #unreadBytes = 0
  #unreadSinceMs = 0

  constructor(
    proxy: ProxyContext,
    visitor: VisitorSocket,
    owner: ExchangeOwner,
    route: Route,
    request: RequestHead,
    record?: RequestRecord,
    lease?: LimitLease,
  ) {
    this.#proxy = proxy
    this.#record = record
    this.#maxBodyBytes = lease?.maxBodyBytes ?? Infinity
    lease?.watch(proxy.deadlines, () => this.#endLate())
    const bandwidth = lease?.download
    if (bandwidth !== undefined) this.#paced = new PacedSink(this, bandwidth)
    this.#sink = this.#paced ?? this
    this.#visitor = visitor
    this.#owner = owner
    this.#route = route
    this.#request = request
    this.#reuse = proxy.options.reuse
    this.#doubts = isIdempotent(request.method) ? 0 : MAX_DOUBTS
    this.#awaitsContinue = request.expectContinue
    this.#requestBody = createBodyReader(request.framing, 'request')
    this.#attempts = new Attempts(proxy, route, request)
    this.#writer = new ResponseWriter(visitor, request)
  }

  /** Status of the service's response; 0 until it is known. */
  get status(): number {
    return this.#response?.status ?? 0
  }

  /** Whether the visitor has sent the whole request. */
  get isRequestComplete(): boolean {
    return this.#requestBody.done
  }

  /** Whether bytes wait here for a bandwidth. */
  get isHeldBack(): boolean {
    return this.#paced?.isHolding === true || this.#visitor.isHeldBack
  }

  /** Whether bytes of the answer that still come are dropped. */
  get isGone(): boolean {
    return this.#isOver
  }

  /** Whether the next bytes of the exchange have to come from the visitor, which has announced them. */
  get isBodyDue(): boolean {
    return this.#requestBody.isOwed && !this.#awaitsContinue && !this.#isDropping
  }

  /** Whether all of the request is there, and nothing of a final response. */
  get isAwaiting(): boolean {
    return this.#isCounted
  }

  /** It waits for an answer from now on, or does not any more. */
  count(isAwaiting: boolean): void {
    if (this.#isCounted === isAwaiting) return
    this.#isCounted = isAwaiting
    this.#proxy.stats.awaiting += isAwaiting ? 1 : -1
  }

  /** Sends the request's head; body bytes follow by `onRequestBytes`. */
  start(): void {
    const { forward } = this.#route
    const trace = this.#record?.trace?.forService
    const options = trace === undefined ? forward : { ...forward, trace }
    const head = Buffer.from(rewriteRequestHead(this.#request, options), 'latin1')
    this.count(this.#requestBody.done)
    this.#open()
    if (!this.#isOver) this.#send(head)
  }

  /**
   * The visitor sent bytes.
   *
   * @returns what does not belong to this request.
   * @throws {HttpError} when the body is malformed; `refuse` ends the exchange then.
   */
  onRequestBytes(chunk: Buffer): Buffer | undefined {
    if (this.#requestBody.done) return chunk
    const end = this.#requestBody.scan(chunk, 0)
    this.#awaitsContinue = false
    this.#bodyBytes += end
    if (this.#bodyBytes > this.#maxBodyBytes) {
      this.#endLimited(RESET_REASONS.limitReached, PROXY_ERRORS.bodyTooLarge)
      return undefined
    }
    if (this.#isDropping) this.#drop(end)
    else if (end > 0 && !this.#isOver) {
      this.#send(end === chunk.length ? chunk : chunk.subarray(0, end))
    }
    if (this.#requestBody.done) {
      if (this.#isAnswered) this.#finish()
      else if (this.#response === undefined && !this.#isOver) this.count(true)
    }
    return end === chunk.length ? undefined : chunk.subarray(end)
  }

  /** Hands what the visitor sent to the platform now; returns what still refers to it. */
  flush(): ChunkAnswer {
    const channel = this.#stream?.channel
    return !this.#attempts.remembers && channel !== undefined && sentOn(channel)
  }

  /** Who may use a stream that others may not; behind a proxy a connection carries several visitors. */
  get #streamOwner(): StreamOwner | undefined {
    const { trustedHops } = this.#route.forward
    return this.#reuse === 'safe' && trustedHops === 0 ? this.#visitor : undefined
  }

  /** Whether the response is a stream of server-sent events. */
  get hasEvents(): boolean {
    return this.#events !== undefined
  }

  /**
   * Ends a response of server-sent events behind its last event; does nothing to other responses.
   *
   * @param session - only if it comes by this session of an agent. Default: any.
   */
  endEvents(session?: Session): void {
    if (session !== undefined && this.#stream?.channel.session !== session) return
    this.#endsEvents = this.#events !== undefined
    if (this.#endsEvents) this.#endBetweenEvents()
  }

  /** The visitor has room again. */
  onVisitorDrain(): void {
    const owed = this.#owedBytes
    this.#owedBytes = 0
    this.#mustDrain = false
    if (owed > 0) this.#stream?.channel.consume(owed)
  }

  /** The visitor is gone: resets the stream to the service. */
  abort(): void {
    if (this.#stop(RESET_REASONS.consumerGone)) this.#owner.ended(ABORTED)
  }

  /** No byte came within the time that was set. */
  expire(): void {
    if (this.isHeldBack) {
      this.#visitor.expectWithin(this.#proxy.options.idleTimeoutMs)
      return
    }
    if (this.#response !== undefined) {
      // While the answer waits for the visitor, the least rate is what limits it.
      if (this.#visitor.hasUnsent) this.#visitor.expectWithin(this.#proxy.options.idleTimeoutMs)
      else if (this.#stop(RESET_REASONS.idleTimeout)) this.#endEarly()
      return
    }
    const error = this.#isServiceDue ? this.#lateError() : this.#stalledError()
    if (error !== undefined && this.#stop(RESET_REASONS.idleTimeout)) this.#fail(error)
  }

  /** The visitor has sent too little of its body, or taken too little of the answer. */
  endSlow(what: 'body' | 'answer'): void {
    if (!this.#stop(RESET_REASONS.idleTimeout)) return
    if (what === 'body' && this.#response === undefined) {
      this.#fail(PROXY_ERRORS.bodyTooSlow)
      return
    }
    const { endpoint, forward } = this.#route
    const about = { endpoint: endpoint.name, requestId: forward.requestId, what }
    this.#proxy.logger.info({ ...about, setting: 'proxy.min_rate' }, 'visitor too slow')
    if (what === 'answer') this.#owner.ended(BROKEN_BY_RESET)
    else this.#endEarly()
  }

  /** The time of the whole exchange is over. */
  #endLate(): void {
    this.#endLimited(RESET_REASONS.idleTimeout, PROXY_ERRORS.timeLimit)
  }

  /** A limit of the endpoint is exceeded. */
  #endLimited(reason: number, error: ProxyError): void {
    if (!this.#stop(reason)) return
    if (this.#response === undefined) this.#fail(error)
    else this.#endEarly()
  }

  /** The error for a service that has the whole request; undefined: it is waited for. */
  #lateError(): ProxyError | undefined {
    if (this.#isUnread) return this.#lookWhetherRead()
    if (this.#unreadBytes > 0) {
      // The last byte has gone since the last look: the service's time begins.
      this.#unreadBytes = 0
      this.#expect()
      return undefined
    }
    if (this.#doubts < MAX_DOUBTS && this.#doubt()) return undefined
    return PROXY_ERRORS.firstByteTimeout
  }

  /** The end of the request waits for the service to read what came before it. */
  #lookWhetherRead(): ProxyError | undefined {
    const { idleTimeoutMs } = this.#proxy.options
    const bytes = this.#stream?.channel.queuedBytes ?? 0
    const nowMs = performance.now()
    if (bytes !== this.#unreadBytes) {
      this.#unreadBytes = bytes
      this.#unreadSinceMs = nowMs
    } else if (nowMs - this.#unreadSinceMs >= idleTimeoutMs) return PROXY_ERRORS.uploadTimeout
    this.#visitor.expectWithin(Math.min(idleTimeoutMs, LOOK_MS))
    return undefined
  }

  /** The error for an upload that stands still. */
  #stalledError(): ProxyError {
    return this.#isUnread ? PROXY_ERRORS.uploadTimeout : PROXY_ERRORS.bodyTimeout
  }

  /** The request proved to be malformed. */
  refuse(fault: unknown): void {
    if (!this.#stop(RESET_REASONS.consumerGone)) return
    // Behind a part of a response nothing sensible can follow.
    if (this.#writer.hasBegun) this.#owner.ended(BROKEN_BY_RESET)
    else this.#owner.ended({ kind: 'malformed', fault })
  }

  /** @inheritdoc */
  onData(chunk: Buffer): ChunkAnswer {
    this.#takeResponse(chunk)
    // Heads became text; of the rest only what the visitor's socket still holds refers to the chunk.
    return this.#stream?.reader.heldBytes === 0 && this.#visitor.writes.holder
  }

  /** @inheritdoc */
  onEnd(): void {
    const stream = this.#stream
    if (stream === undefined || this.#isOver) return
    if (this.#response === undefined) {
      // A reused stream that ends unanswered is mostly a service that closed an idle connection.
      if (stream.reused && isIdempotent(this.#request.method) && stream.reader.heldBytes === 0) {
        // A reset may follow, which says nothing about the stream of the next attempt.
        stream.channel.attach(stream)
        stream.channel.end()
        this.#retry(stream, undefined)
      } else if (stream.reused && stream.reader.heldBytes === 0) this.#askWhetherWritten(stream)
      else this.#closed(stream)
    } else if (!this.#isAnswered && this.#response.framing.kind === 'until-close') {
      this.#isAnswered = true
      this.#writer.endBody(this.#response)
      if (this.#requestBody.done) this.#finish()
      else this.#abandonRequest(stream)
    } else this.#abandonRequest(stream)
  }

  /**
   * The end of the stream has crossed the request. If the agent had it before the request came, a reset
   * with `serviceClosed` follows, and `onClose` sends the request again. A ping that is answered first
   * says that it was written. Another node would answer the ping itself: it asks its agent in place of this one,
   * and resets the stream in either case; one of an earlier version does not, there only time tells.
   */
  #askWhetherWritten(stream: UpstreamStream): void {
    const { session } = stream.channel
    const decide = (): void => {
      if (!this.#isOver && this.#stream === stream) this.#closed(stream)
    }
    if (stream.upstream.isRemote !== true) void whenProcessed(session).then(decide)
    else {
      session.flush()
      setTimeout(decide, DOUBT_MS).unref()
    }
  }

  /** The service closed the connection in place of a response. */
  #closed(stream: UpstreamStream): void {
    this.#isOver = true
    stream.channel.reset()
    this.#endFailed(PROXY_ERRORS.serviceClosed)
  }

  /** @inheritdoc */
  onDrain(): void {
    this.#visitor.resume()
  }

  /** @inheritdoc */
  onClose(error?: MuxError): void {
    const stream = this.#stream
    if (this.#isOver || this.#isDropping || error === undefined || stream === undefined) return
    const reason = resetReasonName(resetReasonOf(error))
    if (this.#response !== undefined) {
      this.#isOver = true
      this.#endEarly()
      return
    }
    this.#attempts.failed(reason)
    const isRepeatable =
      (stream.reused || reason === 'upstreamLost') && isIdempotent(this.#request.method)
    if (neverReachedService(reason) || isRepeatable) {
      this.#retry(stream, reason)
    } else if (stream.channel.readableEnded) this.#closed(stream)
    else this.#fail(errorForReset(reason))
  }

  #open(): void {
    this.#readWishes()
    // Idle streams may be left from before an agent asked for `never`.
    const stream = this.#attempts.first(this.#sink, this.#streamOwner, this.#reuse === 'never')
    if (stream !== undefined) {
      this.#stream = stream
      this.#record?.sent(stream.upstream.agentId)
      if (this.#unsent !== undefined) {
        for (const piece of this.#unsent) stream.channel.write(piece)
        this.#unsent = undefined
        this.#expect()
      }
      this.#visitor.resume()
      return
    }
    this.#wait(() => this.#open())
  }

  /** Reads what the agents ask for. */
  #readWishes(): void {
    const { registry, options } = this.#proxy
    const { endpoint } = this.#route
    this.#reuse = registry.reuse(endpoint, options.reuse)
    this.#strictness = registry.strictness(endpoint)
  }

  #retry(failed: UpstreamStream, reason: ResetReason | undefined): void {
    this.#stream = this.#attempts.next(this.#sink, failed, reason)
    if (this.#stream === undefined) this.#wait(() => this.#repeat())
    else {
      this.#record?.sent(this.#stream.upstream.agentId)
      this.#visitor.resume()
    }
  }

  /** Sends the request once more, after a wait: the visitor has not got any of an answer. */
  #repeat(): void {
    this.#readWishes() // other agents may serve the endpoint now
    this.#stream = this.#attempts.again(this.#sink)
    if (this.#stream === undefined) {
      this.#wait(() => this.#repeat())
      return
    }
    this.#record?.sent(this.#stream.upstream.agentId)
    this.#unsent = undefined // remembered as well
    this.#expect()
    this.#visitor.resume()
  }

  /** Waits for room or for an agent, or fails the request. A burst of visitors may be faster than the agent's acknowledgements. */
  #wait(next: () => void): void {
    this.#waiting ??= new AbortController()
    const room = this.#attempts.whenPossible(this.#waiting.signal)
    if (room === undefined) {
      this.#fail(this.#attempts.failure)
      return
    }
    this.#visitor.pause()
    this.#visitor.expectWithin(Infinity)
    const again = (): void => void (this.#isOver || next())
    room.then(again, again)
  }

  /**
   * No byte of a response has come for DOUBT_MS. The agent is pinged; a request that may be sent twice goes to
   * another session when the agent sends nothing at all.
   *
   * @returns whether the request goes on.
   */
  #doubt(): boolean {
    const { firstByteTimeoutMs } = this.#proxy.options
    const waitedMs = (this.#doubts + 1) * DOUBT_MS
    if (waitedMs >= firstByteTimeoutMs) return false
    this.#doubts += 1
    const stream = this.#stream
    if (stream === undefined) this.#doubts = MAX_DOUBTS
    else if (!stream.upstream.suspect) stream.upstream.doubt()
    else if (this.#attempts.remembers && this.#hasOther(stream) && this.#move(stream)) return true
    const isLast = this.#doubts >= MAX_DOUBTS
    this.#visitor.expectWithin(isLast ? firstByteTimeoutMs - waitedMs : DOUBT_MS)
    return true
  }

  /**
   * Sends the request to another session. Its own may be silent because the agent or this process has no CPU
   * time: it is left only when another has taken the request.
   */
  #move(silent: UpstreamStream): boolean {
    const stream = this.#attempts.elsewhere(this.#sink, silent)
    if (stream === undefined) return false
    this.#doubts = MAX_DOUBTS
    silent.channel.attach(silent) // its end says nothing about the request any more
    silent.channel.reset(RESET_REASONS.consumerGone)
    this.#stream = stream
    this.#record?.sent(stream.upstream.agentId)
    this.#attempts.failed('upstreamLost')
    this.#visitor.expectWithin(this.#proxy.options.firstByteTimeoutMs)
    this.#visitor.resume()
    return true
  }

  #hasOther({ upstream }: UpstreamStream): boolean {
    return this.#proxy.registry.hasOther(this.#route.endpoint, upstream)
  }

  #send(bytes: Buffer): void {
    this.#attempts.remember(bytes)
    if (this.#stream === undefined) (this.#unsent ??= []).push(bytes)
    else if (!this.#stream.write(bytes)) this.#visitor.pause()
    this.#expect()
  }

  /** Whether the next byte has to come from the service. */
  get #isServiceDue(): boolean {
    return this.#requestBody.done || this.#awaitsContinue
  }

  /** Whether bytes of the request have to wait until the service has read others. */
  get #isUnread(): boolean {
    const channel = this.#stream?.channel
    return channel !== undefined && channel.queuedBytes > channel.sendCreditBytes
  }

  /** Sets the time within which something has to happen. */
  #expect(): void {
    const { firstByteTimeoutMs, idleTimeoutMs } = this.#proxy.options
    if (this.#response !== undefined) this.#visitor.expectWithin(idleTimeoutMs)
    // How long a request waits for a stream is for `Attempts` to say.
    else if (this.#stream === undefined) this.#visitor.expectWithin(Infinity)
    else if (!this.#isServiceDue) this.#visitor.expectWithin(idleTimeoutMs)
    else if (this.#isUnread) this.#lookWhetherRead()
    else if (this.#doubts >= MAX_DOUBTS) this.#visitor.expectWithin(firstByteTimeoutMs)
    else this.#visitor.expectWithin(Math.min(firstByteTimeoutMs, DOUBT_MS))
  }

  #takeResponse(chunk: Buffer): void {
    const stream = this.#stream
    if (stream === undefined || this.#isOver) return
    this.#attempts.answered()
    try {
      const rest = this.#response === undefined ? this.#takeHeads(stream, chunk) : chunk
      if (this.#response !== undefined && rest !== undefined) {
        this.#visitor.expectWithin(this.#proxy.options.idleTimeoutMs)
        this.#takeBody(stream, this.#response, rest, chunk.length)
      } else if (this.#mustDrain) this.#owedBytes += chunk.length
      // Interim responses do not move the deadline: the final one is still owed.
      else if (!this.#isOver) stream.channel.consume(chunk.length)
    } catch (error) {
      this.#isOver = true
      stream.channel.reset(RESET_REASONS.protocolError)
      const failure = errorForFault(error)
      this.#reportRejected(stream, failure)
      if (this.#writer.hasBegun) this.#endEarly()
      else this.#endFailed(failure)
    }
  }

  /** The owner of the service has to know why its answer is rejected, here and at the agent. */
  #reportRejected({ upstream }: UpstreamStream, { code, error: reason }: ProxyError): void {
    const { endpoint, forward } = this.#route
    const about = { endpoint: endpoint.name, requestId: forward.requestId, code }
    this.#proxy.logger.info({ ...about, reason }, 'answer of the service rejected')
    upstream.answerRejected?.({ ...about, message: reason })
  }

  #noteRepaired(fault: HttpFault): void {
    const { endpoint, forward } = this.#route
    const about = { endpoint: endpoint.name, requestId: forward.requestId, fault }
    this.#proxy.logger.debug(about, 'answer of the service repaired, its connection is closed')
  }

  /** @returns what follows the final head, or undefined while that has not come. */
  #takeHeads(stream: UpstreamStream, chunk: Buffer): Buffer | undefined {
    let rest = chunk
    while (rest.length > 0) {
      const read = stream.reader.push(rest, this.#request, this.#strictness)
      this.#interimBytes += rest.length - (read?.rest.length ?? 0)
      if (read === undefined) return undefined
      rest = read.rest
      const { head } = read
      if (head.repaired !== undefined) this.#noteRepaired(head.repaired)
      if (!isInterim(head.status)) {
        this.#response = head
        this.#writer.added = this.#attempts.cookieFor(stream, this.#request)
        this.#record?.answered()
        this.#proxy.stats.answered += 1
        this.count(false)
        this.#responseBody = createBodyReader(head.framing, 'response', undefined, this.#strictness)
        const { kind } = head.framing
        const hasLength = kind === 'length' || kind === 'none'
        if (!hasLength && isEventStream(head.header('content-type'))) {
          this.#events = new EventStream(kind === 'chunked')
        }
        this.#isCut = head.status >= 400 && this.#isFarFromComplete
        this.#keepAlive =
          visitorKeepAlive(this.#request, head) && !this.#proxy.draining && !this.#endsEarly(head)
        this.#proxy.stats.countAnswer(this.#request.method, head.status)
        return rest
      }
      if (!this.#takeInterim(stream, head)) return undefined
    }
    return undefined
  }

  /** Whether a final response that comes before the end of the request ends the visitor's connection. */
  #endsEarly(head: ResponseHead): boolean {
    if (this.#requestBody.done) return false
    // RFC 9110 section 10.1.1: the visitor may send the body or leave it out. What comes next may be either.
    if (this.#awaitsContinue) return true
    return this.#isCut || (!head.keepAlive && this.#isFarFromComplete)
  }

  /** Whether more of the request is to come than is dropped to keep the connection, or perhaps none of it. */
  get #isFarFromComplete(): boolean {
    return this.#awaitsContinue || this.#requestBody.leftBytes > MAX_DROPPED_BYTES
  }

  /** Passes an interim response on; false when there were too many, and the exchange is over. */
  #takeInterim(stream: UpstreamStream, head: ResponseHead): boolean {
    const { maxInterimResponses, maxInterimBytes } = this.#proxy.options
    this.#interimResponses += 1
    if (this.#interimResponses > maxInterimResponses || this.#interimBytes > maxInterimBytes) {
      this.#isOver = true
      stream.channel.reset(RESET_REASONS.limitReached)
      this.#fail(PROXY_ERRORS.interimLimit)
      return false
    }
    if (!this.#writer.writeHead(head)) this.#mustDrain = true
    if (this.#awaitsContinue) {
      this.#awaitsContinue = false
      this.#expect()
    }
    return true
  }

  #takeBody(stream: UpstreamStream, head: ResponseHead, rest: Buffer, chunkBytes: number): void {
    const body = this.#responseBody
    if (body === undefined) return
    if (head.upgrade !== undefined) {
      this.#isOver = true
      this.#writer.writeHead(head)
      stream.channel.consume(chunkBytes - rest.length)
      const { channel } = stream
      const paced = this.#paced
      this.#owner.ended({ kind: 'upgraded', protocol: head.upgrade, channel, rest, paced })
      return
    }
    if (this.#writer.hasBegun) this.#visitor.writes.gather(stream.channel.session)
    const { end, hasRoom } = this.#writer.writeBody(head, body, rest, this.#keepAlive)
    if (hasRoom) stream.channel.consume(chunkBytes)
    else this.#owedBytes += chunkBytes
    if (this.#events !== undefined) {
      this.#events.take(
        body.rewritten(rest) ?? (end === rest.length ? rest : rest.subarray(0, end)),
      )
      if (this.#endsEvents && !body.done) this.#endBetweenEvents()
    }
    if (body.done) {
      this.#isAnswered = true
      // Answered before all of it was sent: the service may not have read it.
      this.#isReusable =
        head.keepAlive &&
        end === rest.length &&
        this.#requestBody.done &&
        body.repaired === undefined &&
        this.#paced?.isHolding !== true
      if (body.repaired !== undefined) this.#noteRepaired(body.repaired)
      if (this.#requestBody.done) this.#finish()
      else if (this.#isCut) this.#cut(stream)
    }
  }

  #endBetweenEvents(): void {
    const head = this.#response
    if (head === undefined || this.#events?.isBetweenEvents !== true) return
    const { kind } = head.framing
    const isWhole =
      kind === 'chunked' ? this.#responseBody?.isOwed === false : kind === 'until-close'
    if (!isWhole || !this.#stop(RESET_REASONS.draining)) return
    this.#writer.endBody(head)
    this.#owner.ended(COMPLETE_LAST)
  }

  /** The service has rejected a request that the visitor is still sending: neither is to go on. */
  #cut(stream: UpstreamStream): void {
    this.#isOver = true
    stream.channel.reset(RESET_REASONS.consumerGone)
    this.#owner.ended(ANSWERED_EARLY)
  }

  /** Drops bytes of a request that is answered. */
  #drop(bytes: number): void {
    this.#droppedBytes += bytes
    if (this.#droppedBytes <= MAX_DROPPED_BYTES || this.#isOver) return
    this.#isOver = true
    this.#owner.ended(ANSWERED_EARLY)
  }

  /** Request and response are complete. */
  #finish(): void {
    const stream = this.#stream
    if (this.#isOver || stream === undefined) return
    this.#isOver = true
    this.onVisitorDrain()
    if (!this.#isDropping) this.#release(stream)
    this.#owner.ended(this.#keepAlive ? COMPLETE : COMPLETE_LAST)
  }

  /**
   * Keeps the stream for another request where that is safe. A service that does not read bodies takes the
   * body for a request, whose answer would be that to the next request on the stream.
   */
  #release(stream: UpstreamStream): void {
    const reuse = this.#reuse
    const { framing, method } = this.#request
    const hasBody = framing.kind !== 'none' && (framing.kind !== 'length' || framing.bytes > 0)
    if (!this.#isReusable || reuse === 'never') stream.channel.end()
    else if (reuse === 'always') stream.releaseUnchecked()
    else if (!hasBody) stream.release(this.#streamOwner, true)
    else if (this.#streamOwner === undefined || BODYLESS.has(method)) stream.channel.end()
    else stream.release(this.#streamOwner, false)
  }

  /** The service ended its side while the visitor was still sending, or in the middle of its response. */
  #abandonRequest(stream: UpstreamStream): void {
    if (this.#isAnswered && this.#keepAlive) {
      // The visitor was told that the connection stays.
      this.#isDropping = true
      stream.channel.end()
      this.#visitor.expectWithin(this.#proxy.options.lingerTimeoutMs)
      this.#visitor.resume()
      return
    }
    this.#isOver = true
    if (this.#isAnswered) stream.channel.end()
    else stream.channel.reset()
    this.#endEarly()
  }

  /** Resets the stream, or stops waiting for one; false when the exchange was over before. */
  #stop(reason: number): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#waiting?.abort()
    this.#stream?.channel.reset(reason)
    return true
  }

  #fail(error: ProxyError): void {
    this.#isOver = true
    const { endpoint, forward } = this.#route
    const about = { endpoint: endpoint.name, requestId: forward.requestId, code: error.code }
    const { setting } = error
    if (setting === undefined) this.#proxy.logger.debug(about, 'request failed')
    else this.#proxy.logger.info({ ...about, setting }, 'request timed out')
    this.#endFailed(error)
  }

  #endFailed(failure: ProxyError): void {
    const requestComplete = this.#requestBody.done
    const isPikos =
      failure === PROXY_ERRORS.noUpstream && this.#request.header('x-piko-endpoint') !== undefined
    const error = isPikos ? PROXY_ERRORS.noUpstreamPiko : failure
    this.#owner.ended({ kind: 'failed', error, requestComplete })
  }

  /** Ends the visitor's side of an exchange whose stream is gone. */
  #endEarly(): void {
    if (this.#isAnswered) this.#owner.ended(ANSWERED_EARLY)
    else this.#owner.ended(this.#endsWithConnection ? BROKEN_BY_RESET : BROKEN)
  }
  /** An HTTP/1.0 visitor gets no chunks, of which the last could be missing. */
  get #endsWithConnection(): boolean {
    const kind = this.#response?.framing.kind
    return this.#request.versionMinor === 0 && (kind === 'until-close' || kind === 'chunked')
  }
}
