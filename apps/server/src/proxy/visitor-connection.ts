// Length: one connection; what each event means depends on one phase, and every end of it is decided here.
import type { Socket } from 'node:net'

import { type RequestHead, RequestHeadReader } from '@proj/http1'
import type { ChunkAnswer, Session } from '@proj/mux'
import { beginsWithProxyHeader } from '@proj/portcheck'
import {
  type BandwidthShare,
  resetReasonCode,
  resetReasonName,
  SocketSplice,
} from '@proj/tunnel/io'
import type { Endpoint } from '@proj/tunnel/server'

import { LimitLease } from '../endpoint-limits/endpoint-limiter.ts'
import { watchIdle } from './deadlines.ts'
import { Exchange, type ExchangeOutcome, type ExchangeOwner } from './exchange.ts'
import { RateAllowance } from './min-rate.ts'
import type { ProxyContext } from './proxy-context.ts'
import { errorForFault, formatProxyError, PROXY_ERRORS, type ProxyError } from './proxy-errors.ts'
import { RequestRecord } from './request-record.ts'
import {
  addressOfVisitor,
  connectRequest,
  type Refused,
  type Route,
  routeRequest,
  type VisitorFacts,
} from './route-request.ts'
import { PlainUpgrade, UpgradedWebSocket } from './upgraded-connection.ts'
import { VisitorSocket, type VisitorSocketEvents } from './visitor-socket.ts'

/**
 * `checking`: the visitor's credentials are checked; `turn`: the request waits until its bytes may pass; `lingering`: our
 * side has ended, the visitor's has not.
 */
type Phase = 'idle' | 'head' | 'checking' | 'turn' | 'exchange' | 'lingering' | 'closed'

/** For how many times `lingerTimeoutMs` a visitor that goes on sending is read and dropped. */
const MAX_LINGERS = 6

/** Time between two looks at a visitor that has ended its side, ms. */
const HALF_CLOSED_LOOK_MS = 1_000

/** Looks without a byte of an answer that has begun, after which such a visitor counts as gone. */
const MAX_SILENT_LOOKS = 5

/** Node does not look at a socket that has ended: the second write finds that the first one was answered by a reset. */
const MAX_ASKED = 2

/** RFC 9110 section 15.2: every client of HTTP/1.1 has to expect one. */
const CONTINUE = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')

/** What the access log says of an exchange that did not fail. */
const OUTCOMES = {
  complete: 'ok',
  'answered-early': 'ok',
  broken: 'broken_off',
  aborted: 'visitor_gone',
} as const

/**
 * A visitor's connection: requests one after another, each an Exchange. It owns the socket and decides
 * what happens between two requests; all bytes of the visitor come by `#read`. A request that is
 * pipelined behind a running one waits unread, so at most one chunk of it is held.
 */
export class VisitorConnection implements VisitorSocketEvents, ExchangeOwner {
  readonly #facts: VisitorFacts
  readonly #proxy: ProxyContext
  readonly #socket: VisitorSocket
  readonly #rawSocket: Socket
  readonly #reader: RequestHeadReader
  readonly #onGone: (connection: VisitorConnection) => void
  readonly #sending: RateAllowance
  readonly #taking: RateAllowance
  #phase: Phase = 'idle'
  #exchange: Exchange | undefined
  /** What the access log and traces will have of the request, where there are some. */
  #record: RequestRecord | undefined
  /** Of the request that runs, or was the last; undefined before it is found. */
  #endpoint: Endpoint | undefined
  /** Counts the request for the limits of its endpoint, where it has some. */
  #lease: LimitLease | undefined
  /** Called when the bandwidth of the endpoint has room for the request, which waits for that. */
  #turn: (() => void) | undefined
  #request: RequestHead | undefined
  /** Of `#request`, as it was sent. */
  #headBytes = 0
  /** Identifier of `#request`, once it has one. */
  #requestId: string | undefined
  #hasAsked = false
  /** Whether its first bytes are read on, or were. */
  #isLookedAt = false
  /** First bytes that wait until it is seen whether the visitor is still there. */
  #first: Buffer | undefined
  #checkEnd: AbortController | undefined
  /** When the head of `#request` had been read, `performance.now()`. */
  #beganAt = 0
  /** Bytes of requests and answers that are in the counts of sizes. */
  #countedIn = 0
  #countedOut = 0
  /** The visitor has ended its side; what it has sent whole is answered. */
  #hasEnded = false
  #lingerUntilMs = 0
  /** Whether the visitor had not taken its last answer when its time was looked at. */
  #wasUnsent = false
  #halfClosedTimer: NodeJS.Timeout | undefined
  #asked = 0
  #silentLooks = 0
  #writtenBytes = 0

  /**
   * @param socket - accepted with `allowHalfOpen`; owned by the connection from now on.
   * @param facts - what is known of it.
   * @param onGone - called once, when the socket is closed or belongs to another reader.
   */
  constructor(
    proxy: ProxyContext,
    socket: Socket,
    facts: VisitorFacts,
    onGone: (connection: VisitorConnection) => void,
  ) {
    this.#proxy = proxy
    this.#rawSocket = socket
    this.#onGone = onGone
    this.#sending = new RateAllowance(proxy.options)
    this.#taking = new RateAllowance(proxy.options)
    this.#reader = new RequestHeadReader({ maxHeadBytes: proxy.options.maxHeadBytes })
    this.#facts = facts
    this.#socket = new VisitorSocket(socket, proxy.options.keepAliveTimeoutMs, proxy, this)
  }

  /** Whether no request has begun that is not answered, and the last response has left. */
  get isIdle(): boolean {
    return this.#phase === 'idle' && this.#first === undefined && !this.#socket.hasUnsent
  }

  /** When the request began that waits for an answer now, `performance.now()`; Infinity: none does. */
  get waitsSince(): number {
    return this.#exchange?.isAwaiting === true ? this.#beganAt : Infinity
  }

  /**
   * Whether its first request, or one that has begun, has no route yet: it still needs the agents of this
   * process.
   */
  get needsRoute(): boolean {
    if (this.#phase === 'idle') return !this.#hasAsked
    return this.#phase === 'head' || this.#hasWait
  }

  /** Whether it gets a response that has no end of its own. */
  get isLongLived(): boolean {
    return this.#exchange?.hasEvents === true
  }

  /**
   * Ends a response that has no end of its own, where that is clean.
   *
   * @param session - only if it comes by this session of an agent. Default: any.
   */
  endLongLived(session?: Session): void {
    this.#exchange?.endEvents(session)
  }

  /** Ends the connection if it is idle; called when the server stops. */
  closeIfIdle(): void {
    if (this.#phase === 'idle') this.#linger()
  }

  /**
   * Ends the connection of a visitor that is slower than `minRate`; called about once a second.
   *
   * @param elapsedMs - since the last call.
   */
  lookAtRate(elapsedMs: number): void {
    const { stats } = this.#proxy
    const socket = this.#socket
    if (!socket.hasUnsent) this.#taking.rest()
    else if (this.#taking.isUsedUp(socket.takenBytes, elapsedMs)) {
      stats.tooSlowOut += 1
      this.#exchange?.endSlow('answer')
      socket.reset()
      return
    }
    if (this.#exchange?.isBodyDue !== true || socket.isPaused) this.#sending.rest()
    else if (this.#sending.isUsedUp(socket.readBytes, elapsedMs)) {
      stats.tooSlowIn += 1
      this.#exchange.endSlow('body')
    }
  }

  /** Closes the connection now. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** @inheritdoc */
  onData(chunk: Buffer, isLent: boolean): ChunkAnswer {
    if (!this.#isLookedAt && (this.#first !== undefined || this.#proxy.admission.isLimiting)) {
      this.#holdFirst(chunk)
      return false
    }
    this.#isLookedAt = true
    const before = this.#exchange
    if (!this.#isEnding()) this.#read(chunk)
    else if (this.#phase === 'lingering') this.#expectLess()
    if (!isLent || this.#socket.held !== undefined || this.#reader.heldBytes > 0) return false
    // An exchange that ended with this chunk may have left some of it with its stream, and the next
    // reader of the socket has the rest.
    if ((before ?? this.#exchange) !== this.#exchange || this.#phase === 'closed') return false
    return this.#exchange?.flush() ?? true
  }

  /** @inheritdoc */
  onDrain(): void {
    if (this.#exchange !== undefined) this.#exchange.onVisitorDrain()
    else if (this.#phase === 'idle') this.#readOn()
  }

  /** @inheritdoc */
  onEnd(): void {
    if (this.#first !== undefined) {
      this.#rejectGone()
      return
    }
    if (this.#exchange?.isAwaiting === true) this.#proxy.stats.givenUp += 1
    this.#hasEnded = true
    if (!this.#socket.isCleanEnd || this.#isCutOff()) this.#socket.destroy()
    else if (this.#phase === 'exchange' || this.#hasWait) this.#watchHalfClosed()
    else this.#socket.end()
  }

  /** @inheritdoc */
  onClose(): void {
    if (this.#exchange?.isAwaiting === true && !this.#hasEnded) this.#proxy.stats.givenUp += 1
    this.#exchange?.abort()
    this.#release()
  }

  /** @inheritdoc */
  onTimeout(): void {
    if (this.#phase === 'exchange') this.#exchange?.expire()
    else if (this.#phase === 'checking') this.#endCheck()
    else if (this.#phase === 'turn') this.#endTurn(PROXY_ERRORS.endpointBandwidth)
    else if (this.#phase === 'head') this.#sendError(PROXY_ERRORS.headTimeout)
    else if (this.#socket.hasUnsent || this.#wasUnsent) this.#waitUntilTaken()
    else if (this.#phase === 'idle') this.#linger()
    else this.#socket.destroy()
  }

  /** @inheritdoc */
  ended(outcome: ExchangeOutcome): void {
    const status = this.#exchange?.status ?? 0
    if (this.#lease !== undefined && outcome.kind !== 'upgraded') {
      this.#lease.release()
      this.#socket.limitReads(undefined)
      this.#lease = undefined
    }
    this.#exchange?.count(false)
    this.#exchange = undefined
    this.#proxy.stats.inFlight -= 1
    this.#socket.writes.flush()
    if (outcome.kind === 'failed') {
      this.#sendError(outcome.error, outcome.requestComplete)
      return
    }
    if (outcome.kind === 'malformed') {
      this.#refuse(outcome.fault)
      return
    }
    if (this.#record !== undefined && outcome.kind !== 'upgraded') {
      this.#endRecord(OUTCOMES[outcome.kind], status)
    }
    this.#countDuration(status)
    switch (outcome.kind) {
      case 'complete':
        if (outcome.keepAlive && !this.#proxy.draining) this.#awaitRequest()
        else this.#linger()
        break
      case 'answered-early':
        this.#linger()
        break
      case 'broken':
        if (outcome.reset) this.#socket.reset()
        else this.#breakOff()
        break
      case 'upgraded':
        this.#upgrade(outcome)
        break
      case 'aborted':
    }
  }

  /** Whether the head of a request was read, and it is not forwarded yet. */
  get #hasWait(): boolean {
    return this.#phase === 'checking' || this.#phase === 'turn'
  }

  /** Whether the visitor has ended its side in the middle of a request: it is gone, and the stream is reset. */
  #isCutOff(): boolean {
    if (this.#hasWait) return this.#request?.framing.kind !== 'none'
    return this.#exchange?.isRequestComplete === false
  }

  /**
   * A visitor that has gone away ends its side just as one that only sends no more, and the service of one that
   * is gone should know. Bytes for a socket that is closed are answered with a reset, so the visitor gets
   * interim responses while the final one is not there, and counts as gone when an answer stands still.
   */
  #watchHalfClosed(): void {
    this.#halfClosedTimer = setInterval(this.#lookWhetherGone, HALF_CLOSED_LOOK_MS)
    this.#halfClosedTimer.unref() // the socket keeps the process alive
  }

  readonly #lookWhetherGone = (): void => {
    if (this.#exchange === undefined || this.#exchange.isHeldBack) return
    if (this.#exchange.status === 0) {
      if (this.#asked < MAX_ASKED && this.#request?.versionMinor === 1) this.#socket.write(CONTINUE)
      this.#asked += 1
      return
    }
    const { bytesWritten } = this.#rawSocket
    const isSilent = bytesWritten === this.#writtenBytes && !this.#socket.hasUnsent
    this.#writtenBytes = bytesWritten
    this.#silentLooks = isSilent ? this.#silentLooks + 1 : 0
    if (this.#silentLooks >= MAX_SILENT_LOOKS) this.#socket.destroy()
  }

  /**
   * Holds the first bytes of a connection for a turn of the event loop, in an overload: a visitor that gave up
   * while it waited to be accepted has ended its side behind them, and is not served.
   */
  #holdFirst(chunk: Buffer): void {
    if (this.#first === undefined) setImmediate(() => setImmediate(this.#readFirst))
    this.#first = this.#first === undefined ? chunk : Buffer.concat([this.#first, chunk])
  }

  /** A visitor that only sends no more, which is rare, learns that it was rejected. */
  #rejectGone(): void {
    const { admission, stats } = this.#proxy
    this.#first = undefined
    this.#isLookedAt = true
    stats.requests += 1
    stats.givenUp += 1
    admission.rejected += 1
    this.#sendError(PROXY_ERRORS.overloaded)
  }

  readonly #readFirst = (): void => {
    const bytes = this.#first
    this.#first = undefined
    this.#isLookedAt = true
    if (bytes !== undefined && this.#phase === 'idle') this.#read(bytes)
  }

  /** All bytes of the visitor pass through here: body of the running request, or head of the next. */
  #read(bytes: Buffer): void {
    try {
      const upload = this.#lease?.upload
      const rest = this.#exchange === undefined ? bytes : this.#exchange.onRequestBytes(bytes)
      if (upload !== undefined) this.#countBody(upload, bytes.length - (rest?.length ?? 0))
      if (rest === undefined || this.#isEnding()) return
      const isBusy = this.#exchange !== undefined || this.#hasWait
      if (!isBusy && !this.#socket.needsDrain) this.#readHead(rest)
      else if (rest.length > 0) this.#socket.hold(rest)
    } catch (error) {
      if (this.#exchange === undefined) this.#refuseHead(error, bytes)
      else this.#exchange.refuse(error)
    }
  }

  #readHead(bytes: Buffer): void {
    if (this.#phase === 'idle') {
      this.#phase = 'head'
      this.#socket.expectWithin(this.#proxy.options.headTimeoutMs)
    }
    const before = this.#reader.heldBytes
    const read = this.#reader.push(bytes)
    if (read !== undefined) {
      this.#headBytes = before + bytes.length - read.rest.length
      this.#begin(read.head, read.rest)
    }
    // Empty lines between requests are no request.
    else if (this.#reader.heldBytes === 0) this.#phase = 'idle'
  }

  #begin(head: RequestHead, rest: Buffer): void {
    this.#request = head
    this.#requestId = undefined
    this.#endpoint = undefined
    this.#hasAsked = true
    this.#beganAt = performance.now()
    this.#proxy.stats.requests += 1
    const connect = connectRequest(this.#proxy, head, this.#facts, this.#rawSocket)
    if (connect !== undefined) {
      this.#release()
      void this.#proxy.connect.handle(connect, this.#rawSocket, rest)
      return
    }
    const { accessLog, tracer } = this.#proxy
    if (accessLog !== undefined || tracer !== undefined) this.#record = this.#startRecord(head)
    if (head.unframed && !isBlank(rest)) {
      this.#sendError(PROXY_ERRORS.lengthRequired)
      return
    }
    const { admission, options, stats } = this.#proxy
    const isMany = stats.awaiting >= admission.limit || stats.inFlight >= options.maxRequests
    if (isMany && admission.rejects()) {
      if (rest.length > 0) this.#socket.hold(rest)
      this.#sendError(PROXY_ERRORS.overloaded, head.framing.kind === 'none')
      return
    }
    const route = routeRequest(this.#proxy, head, this.#facts, this.#whileChecking)
    if (route instanceof Promise) this.#check(route, head, rest)
    else this.#follow(route, head, rest)
  }

  #startRecord(head: RequestHead): RequestRecord {
    const client = addressOfVisitor(this.#proxy, head, this.#facts)
    const { scheme, isTrusted } = this.#facts
    const trace = this.#proxy.tracer?.traceOf(head, isTrusted)
    return new RequestRecord(this.#proxy, head, client, scheme, trace)
  }

  /** Waits for the check of the visitor's credentials. */
  #check(route: Promise<Route | Refused>, head: RequestHead, rest: Buffer): void {
    this.#phase = 'checking'
    this.#expectCheck()
    this.#socket.hold(rest)
    void route.then((found) => {
      if (this.#phase !== 'checking' || this.#request !== head) return // gone, or timed out
      this.#checkEnd = undefined
      const held = this.#socket.takeHeld() ?? rest
      this.#socket.resume()
      try {
        this.#follow(found, head, held)
      } catch (error) {
        this.#refuse(error)
      }
    })
  }

  /** The signal of a visitor that waits: aborted when it goes, or its time is over. */
  readonly #whileChecking = (): AbortSignal => {
    this.#checkEnd ??= new AbortController()
    if (this.#phase === 'checking') this.#expectCheck()
    return this.#checkEnd.signal
  }

  /** A visitor that waits for an agent has its time for the check afterwards. */
  #expectCheck(): void {
    const { options, registry } = this.#proxy
    const waitMs = this.#checkEnd === undefined ? 0 : registry.waits.absentWaitMs
    this.#socket.expectWithin(options.visitorCheckTimeoutMs + waitMs)
  }

  #endCheck(): void {
    this.#checkEnd?.abort()
    this.#checkEnd = undefined
    this.#sendError(PROXY_ERRORS.visitorCheckTimeout, this.#request?.framing.kind === 'none')
  }

  #follow(route: Route | Refused, head: RequestHead, rest: Buffer): void {
    this.#endpoint = route.endpoint
    if ('error' in route) {
      if (rest.length > 0) this.#socket.hold(rest)
      this.#sendError(route.error, head.framing.kind === 'none')
      return
    }
    this.#requestId = route.forward.requestId
    this.#record?.routed(route)
    if (!this.#proxy.limiter.isEmpty) {
      const error = this.#takeLimits(route, head)
      if (error !== undefined) {
        if (rest.length > 0) this.#socket.hold(rest)
        this.#sendError(error, head.framing.kind === 'none')
        return
      }
      const upload = this.#lease?.upload
      if (upload !== undefined) {
        if (upload.isFree) this.#limitBody(upload, head)
        else {
          this.#awaitTurn(upload, route, head, rest)
          return
        }
      }
    }
    this.#forward(route, head, rest)
  }

  #forward(route: Route, head: RequestHead, rest: Buffer): void {
    this.#phase = 'exchange'
    const exchange = new Exchange(
      this.#proxy,
      this.#socket,
      this,
      route,
      head,
      this.#record,
      this.#lease,
    )
    this.#exchange = exchange
    this.#proxy.stats.inFlight += 1
    exchange.start()
    if (rest.length === 0) return
    if (this.#exchange === exchange) {
      this.#read(rest)
    } else if (!this.#isEnding()) {
      // `start` has failed the request already: what follows its head is the next one's.
      this.#socket.hold(rest)
      this.#readOn()
    }
  }

  /** Counts the request for the limits of its endpoint, or says which one is exceeded. */
  #takeLimits({ endpoint, forward }: Route, head: RequestHead): ProxyError | undefined {
    const lease = this.#proxy.limiter.take(endpoint, forward.visitor)
    if (!(lease instanceof LimitLease)) return lease
    if (head.framing.kind === 'length' && head.framing.bytes > lease.maxBodyBytes) {
      lease.release()
      return PROXY_ERRORS.bodyTooLarge
    }
    this.#lease = lease
    return undefined
  }

  /** Counts the head of a request, and what is read of its body from now on. */
  #limitBody(upload: BandwidthShare, head: RequestHead): void {
    if (head.framing.kind === 'none') upload.take(this.#headBytes)
    else {
      this.#socket.limitReads(upload)
      this.#socket.countRead(this.#headBytes)
    }
  }

  #countBody(upload: BandwidthShare, bytes: number): void {
    // The last bytes may have ended the exchange, and its limit on what is read.
    if (this.#lease === undefined) upload.take(bytes)
    else this.#socket.countRead(bytes)
  }

  /** Waits until the bandwidth has room: many small requests use no more of it than a long one. */
  #awaitTurn(upload: BandwidthShare, route: Route, head: RequestHead, rest: Buffer): void {
    this.#phase = 'turn'
    this.#socket.expectWithin(this.#proxy.options.idleTimeoutMs)
    this.#socket.hold(rest)
    this.#turn = () => {
      this.#turn = undefined
      const held = this.#socket.takeHeld() ?? rest
      this.#socket.resume()
      this.#limitBody(upload, head)
      this.#forward(route, head, held)
    }
    upload.wait(this.#turn)
    this.#lease?.watch(this.#proxy.deadlines, () => this.#endTurn(PROXY_ERRORS.timeLimit))
  }

  #endTurn(error: ProxyError): void {
    this.#leaveTurn()
    this.#proxy.limiter.rejected += 1
    this.#sendError(error, this.#request?.framing.kind === 'none')
  }

  /** The request does not wait for its turn any more, if it did. */
  #leaveTurn(): void {
    if (this.#turn === undefined) return
    this.#lease?.upload?.cancel(this.#turn)
    this.#lease?.release()
    this.#lease = undefined
    this.#turn = undefined
  }

  #isEnding(): boolean {
    return this.#phase === 'lingering' || this.#phase === 'closed'
  }

  #awaitRequest(): void {
    // What fails before the next head is read, such as a timeout, is no response to this request.
    this.#request = undefined
    this.#phase = 'idle'
    if (this.#hasEnded && this.#socket.held === undefined) {
      this.#linger()
      return
    }
    this.#socket.expectWithin(this.#proxy.options.keepAliveTimeoutMs)
    this.#readOn()
  }

  /** Reads the next request; what the visitor sent of it already comes first. */
  #readOn(): void {
    if (this.#socket.held === undefined) this.#socket.resume()
    // Not from inside the call that ended the last exchange, or a pipeline would be a recursion. While
    // the visitor has not taken the last response, `onDrain` comes back here.
    else if (!this.#socket.needsDrain) setImmediate(this.#readHeld)
  }

  readonly #readHeld = (): void => {
    if (this.#phase !== 'idle') return
    const held = this.#socket.takeHeld()
    if (held !== undefined && held.length > 0) this.#read(held)
    this.#socket.resume()
    // What was held is the start of a request that does not go on.
    if (this.#hasEnded && this.#exchange === undefined && !this.#isEnding()) this.#linger()
  }

  /** @param bytes - in which it proved to be malformed. */
  #refuseHead(fault: unknown, bytes: Buffer): void {
    if (this.#hasAsked || !beginsWithProxyHeader(bytes)) {
      this.#refuse(fault)
      return
    }
    this.#proxy.proxyHeaderNote.found(this.#facts.clientAddress)
    this.#sendError(PROXY_ERRORS.proxyHeader)
  }

  /** Answers a request that proved to be malformed. */
  #refuse(fault: unknown): void {
    this.#request = undefined
    this.#sendError(errorForFault(fault))
  }

  /** @param requestComplete - whether the connection may be kept alive: the next bytes are a request. */
  #sendError(error: ProxyError, requestComplete = false): void {
    const request = this.#request
    this.#proxy.stats.countAnswer(request?.method, error.status)
    const keepAlive = requestComplete && request?.keepAlive === true && !this.#proxy.draining
    const { pages } = this.#proxy
    const offlinePage = this.#offlinePage
    const facts = { request, requestId: this.#identifier, keepAlive, pages, offlinePage }
    this.#socket.write(formatProxyError(error, facts))
    const isObserved = this.#record !== undefined || this.#proxy.accessLog !== undefined
    if (isObserved) this.#endRecord(error.code, error.status)
    this.#countDuration(error.status, error.code)
    if (keepAlive) this.#awaitRequest()
    else this.#linger()
  }

  readonly #offlinePage = (code: string): string | undefined =>
    this.#endpoint && this.#proxy.offlinePage(this.#endpoint, code)

  /** The identifier that an error page tells; a request that has no route gets one for it. */
  readonly #identifier = (): string | undefined => {
    if (this.#request === undefined || this.#requestId !== undefined) return this.#requestId
    const { requestIds, trusted } = this.#proxy
    const hops = this.#facts.isTrusted ? trusted.hopsOf(this.#request) : 0
    this.#requestId = requestIds.of(this.#request, hops)
    this.#record?.identified(this.#requestId)
    return this.#requestId
  }

  /** Writes the line of the request to the access log, and ends its span. */
  #endRecord(outcome: string, status: number): void {
    const { receivedBytes, sentBytes } = this.#socket
    const bytesIn = receivedBytes - this.#countedIn
    const bytesOut = sentBytes - this.#countedOut
    if (this.#record === undefined) {
      const { clientAddress, isTrusted } = this.#facts
      const client = isTrusted ? undefined : clientAddress
      this.#proxy.accessLog?.unread(client, outcome, status, bytesIn, bytesOut)
    } else this.#record.end('request', outcome, status, bytesIn, bytesOut)
    this.#record = undefined
  }

  /**
   * @param status - 0: no response has begun.
   * @param code - `adit-error`; empty: the answer is of the service.
   */
  #countDuration(status: number, code = ''): void {
    if (status === 0 || this.#request === undefined) return
    const nowMs = performance.now()
    const ms = nowMs - this.#beganAt
    const { stats, history } = this.#proxy
    history.count(this.#endpoint, this.#request, this.#requestId, status, code, ms, nowMs)
    stats.countDuration(this.#request.method, status, ms)
    const { receivedBytes, sentBytes } = this.#socket
    stats.requestSizes.add(receivedBytes - this.#countedIn)
    stats.answerSizes.add(sentBytes - this.#countedOut)
    this.#countedIn = receivedBytes
    this.#countedOut = sentBytes
  }

  /**
   * Ends our side and drops what the visitor still sends. To close at once would reset the connection under
   * bytes on their way, and with it the response in the visitor's buffers.
   */
  #linger(): void {
    this.#phase = 'lingering'
    this.#waitUntilTaken()
    this.#socket.endAndDrain()
  }

  /** Closes the connection behind what there is of the answer. */
  #breakOff(): void {
    this.#phase = 'lingering'
    this.#waitUntilTaken()
    this.#socket.destroySoon()
  }

  /** Until the visitor has taken its last answer, `minRate` is what limits it; the time begins then. */
  #waitUntilTaken(): void {
    const { deadlines, options } = this.#proxy
    const { keepAliveTimeoutMs, lingerTimeoutMs } = options
    this.#wasUnsent = this.#socket.hasUnsent
    this.#lingerUntilMs = deadlines.now + lingerTimeoutMs * MAX_LINGERS
    this.#socket.expectWithin(this.#phase === 'idle' ? keepAliveTimeoutMs : lingerTimeoutMs)
  }

  /** The visitor of a connection that ends has to become silent. */
  #expectLess(): void {
    const { deadlines, options } = this.#proxy
    const leftMs = this.#lingerUntilMs - deadlines.now
    this.#socket.expectWithin(Math.min(options.lingerTimeoutMs, leftMs))
  }

  /** Splices the socket and the stream, after the service switched protocols. */
  #upgrade(outcome: Extract<ExchangeOutcome, { kind: 'upgraded' }>): void {
    const { channel, protocol, rest, paced } = outcome
    const { stats, options, deadlines, upgraded } = this.#proxy
    const record = this.#record
    const lease = this.#lease
    this.#record = undefined
    this.#lease = undefined
    lease?.unwatch()
    // What the visitor sent before it saw the 101.
    const held = this.#socket.takeHeld()
    this.#release()
    let stopWatching = (): void => {}
    stats.upgraded += 1
    const splice = new SocketSplice(channel, {
      resetReason: () => 'consumerGone',
      bandwidth: lease?.upload,
      onClose: (reason) => {
        stopWatching()
        const outcome = reason === undefined ? 'ok' : resetReasonCode(resetReasonName(reason))
        record?.end('upgrade', outcome, 101, splice.bytesFromSocket, splice.bytesToSocket)
        lease?.release()
        stats.upgraded -= 1
        upgraded.delete(connection)
      },
    })
    const isWebSocket = protocol.toLowerCase() === 'websocket'
    const webSocket = isWebSocket ? new UpgradedWebSocket(channel, splice, deadlines) : undefined
    const connection = webSocket ?? new PlainUpgrade(channel, splice)
    upgraded.add(connection)
    stopWatching = watchIdle(splice, options.upgradeIdleTimeoutMs, deadlines)
    const sink = webSocket ?? splice
    paced?.redirect(sink)
    splice.pacing = paced
    channel.attach(paced ?? sink)
    splice.connect(this.#rawSocket)
    if (rest.length > 0) sink.onData(rest)
    if (held !== undefined) lease?.upload?.take(held.length)
    if (held === undefined || channel.write(held)) splice.readOn()
  }

  /** Gives the socket away, or it is closed. */
  #release(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#checkEnd?.abort()
    this.#leaveTurn()
    clearInterval(this.#halfClosedTimer)
    this.#socket.release()
    this.#onGone(this)
  }
}

/** Whether there is nothing but line ends, which old clients send behind a body (RFC 9112 section 2.2). */
function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0x0d || byte === 0x0a)
}
