import {
  type BodyReader,
  createBodyReader,
  formatRequestHead,
  formatResponseHead,
  forwardRequestHeaders,
  forwardResponseHeaders,
  isInterim,
  type RequestHead,
  type ResponseHead,
  visitorKeepAlive,
} from '@proj/http1'
import type { ChannelSink, MuxError } from '@proj/mux'
import {
  neverReachedService,
  RESET_REASONS,
  type ResetReason,
  resetReasonName,
  type Upstream,
} from '@proj/tunnel'

import { answerToFault, answerToReset, EDGE_ANSWERS, type EdgeAnswer } from './edge-answer.ts'
import type { EdgeContext } from './edge-context.ts'
import type { CarrierStream } from './stream-pool.ts'

/** What an exchange needs of the visitor's connection it runs on. */
export interface ExchangeVisitor {
  /** Sends bytes; false when the visitor has to catch up, `Exchange.onVisitorDrain` follows. */
  write(bytes: Buffer): boolean
  /** Stops and resumes reading the request. */
  pause(): void
  resume(): void
  /** Sets how long nothing may happen from now on, ms. */
  expectWithin(ms: number): void
  /** The exchange is over: the answer is complete and so is the request. */
  done(keepAlive: boolean): void
  /** The answer is complete, the request is not and nobody wants its rest. */
  linger(): void
  /** Nothing was answered: answer this and close. */
  fail(answer: EdgeAnswer): void
  /** The answer broke off. `reset` when only a reset tells that from a clean end. */
  breakOff(reset: boolean): void
  /** The service switched protocols: the stream and the socket are one pipe now. */
  upgrade(stream: CarrierStream, rest: Buffer): void
  /** Address, port and scheme of the visitor's connection. */
  readonly connection: {
    readonly clientAddress: string
    readonly scheme: 'http' | 'https'
  }
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
const MAX_ATTEMPTS = 2

/** Answers up to this many bytes leave in one piece with their head; beyond, copying costs more. */
const MAX_JOINED_BYTES = 4096

/**
 * One request and its answer, spliced between a visitor and a stream to an agent.
 *
 * Heads are parsed and rewritten; of bodies only the end is looked for. Bytes from the agent are
 * given back to the stream's window when the visitor's socket has room, and the visitor is not read
 * while the stream has none, so neither side can fill this process.
 */
export class Exchange implements ChannelSink {
  readonly #edge: EdgeContext
  readonly #visitor: ExchangeVisitor
  readonly #endpoint: string
  readonly #request: RequestHead
  readonly #requestBody: BodyReader
  readonly #tried = new Set<Upstream>()
  #stream: CarrierStream | undefined
  #attempts = 0
  /** What was sent so far, to be sent again elsewhere; undefined once that is impossible. */
  #replay: Buffer[] | undefined = []
  #replayBytes = 0
  #response: ResponseHead | undefined
  #responseBody: BodyReader | undefined
  #answered = false
  #keepAlive = false
  #headSent = false
  #reusable = false
  #lastReset: ResetReason | undefined
  #owed = 0
  #over = false

  constructor(edge: EdgeContext, visitor: ExchangeVisitor, endpoint: string, request: RequestHead) {
    this.#edge = edge
    this.#visitor = visitor
    this.#endpoint = endpoint
    this.#request = request
    this.#requestBody = createBodyReader(request.framing, 'request')
  }

  /** Whether the whole request has been read. */
  get requestComplete(): boolean {
    return this.#requestBody.done
  }

  /** Whether the head of an answer is out. */
  get started(): boolean {
    return this.#headSent
  }

  /** Sends the request's head on its way; body bytes follow by `onRequestBytes`. */
  start(): void {
    const headers = forwardRequestHeaders(this.#request, {
      ...this.#visitor.connection,
      trustedHops: this.#edge.options.trustedHops,
    })
    const { method, target } = this.#request
    const head = Buffer.from(formatRequestHead({ method, target, headers }), 'latin1')
    if (this.#openStream(false)) this.#send(head)
  }

  /**
   * Takes bytes of the visitor.
   *
   * @returns what does not belong to this request.
   * @throws {HttpError} when the body is malformed.
   */
  onRequestBytes(chunk: Buffer): Buffer | undefined {
    if (this.#requestBody.done) return chunk
    const end = this.#requestBody.scan(chunk, 0)
    if (end > 0 && !this.#over) this.#send(end === chunk.length ? chunk : chunk.subarray(0, end))
    if (this.#requestBody.done && this.#answered) this.#finish()
    return end === chunk.length ? undefined : chunk.subarray(end)
  }

  /** The visitor has room again. */
  onVisitorDrain(): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.#stream?.channel.consume(owed)
  }

  /** The visitor is gone: the service shall know. */
  abort(): void {
    if (this.#over) return
    this.#over = true
    this.#stream?.channel.reset(RESET_REASONS.consumerGone)
  }

  /** Nothing happened for too long. */
  expire(): void {
    if (this.#over) return
    this.#over = true
    this.#stream?.channel.reset(RESET_REASONS.idleTimeout)
    if (this.#response === undefined) this.#visitor.fail(EDGE_ANSWERS.firstByteTimeout)
    else if (this.#answered) this.#visitor.linger()
    else this.#breakOff()
  }

  /** @inheritdoc */
  onData(chunk: Buffer): void {
    const stream = this.#stream
    if (stream === undefined || this.#over) return
    this.#visitor.expectWithin(this.#edge.options.idleTimeoutMs)
    this.#replay = undefined
    let rest = chunk
    try {
      while (this.#response === undefined) {
        const read = stream.reader.push(rest, this.#request)
        if (read === undefined) {
          stream.channel.consume(chunk.length)
          return
        }
        rest = read.rest
        if (isInterim(read.head.status)) this.#writeHead(read.head, true)
        else this.#begin(read.head)
        if (rest.length === 0 && this.#response === undefined) {
          stream.channel.consume(chunk.length)
          return
        }
      }
      this.#onBody(stream, this.#response, rest, chunk.length)
    } catch (error) {
      this.#refuseResponse(stream, error)
    }
  }

  /** @inheritdoc */
  onEnd(): void {
    const stream = this.#stream
    if (stream === undefined || this.#over) return
    if (this.#response === undefined) {
      if (stream.reused && this.#mayRepeat() && stream.reader.heldBytes === 0) {
        stream.channel.end()
        this.#again()
        return
      }
      this.#over = true
      stream.channel.reset()
      this.#visitor.fail(EDGE_ANSWERS.serviceClosed)
    } else if (this.#answered) {
      this.#over = true
      stream.channel.end()
      this.#visitor.linger()
    } else if (this.#response.framing.kind === 'until-close') {
      this.#answered = true
      this.#finish()
    } else {
      this.#over = true
      stream.channel.reset()
      this.#breakOff()
    }
  }

  /** @inheritdoc */
  onDrain(): void {
    this.#visitor.resume()
  }

  /** @inheritdoc */
  onClose(error?: MuxError): void {
    if (this.#over || error === undefined) return
    const stream = this.#stream
    const reason = resetReasonName(error.reason ?? RESET_REASONS.upstreamLost)
    if (this.#response === undefined) {
      // A reused stream that dies unanswered is mostly a service that hung up on an idle connection.
      const unseen = neverReachedService(reason)
      if (unseen || (stream?.reused === true && this.#mayRepeat())) {
        if (unseen && stream !== undefined) this.#tried.add(stream.upstream)
        this.#lastReset = reason
        this.#again()
        return
      }
      this.#over = true
      this.#visitor.fail(answerToReset(reason))
    } else if (this.#answered) {
      this.#over = true
      this.#visitor.linger()
    } else {
      this.#over = true
      this.#breakOff()
    }
  }

  /** Offers the request to another stream, if all of it is still here. */
  #again(): void {
    const replay = this.#replay
    if (replay === undefined || this.#attempts >= MAX_ATTEMPTS) {
      this.#over = true
      this.#visitor.fail(
        this.#lastReset === undefined ? EDGE_ANSWERS.serviceClosed : answerToReset(this.#lastReset),
      )
      return
    }
    if (!this.#openStream(true)) return
    for (const piece of replay) this.#stream?.channel.write(piece)
    this.#visitor.resume()
  }

  #mayRepeat(): boolean {
    return IDEMPOTENT.has(this.#request.method)
  }

  #openStream(fresh: boolean): boolean {
    this.#attempts += 1
    const { registry, pool } = this.#edge
    for (;;) {
      const upstream = registry.pick(this.#endpoint, this.#tried)
      if (upstream === undefined) {
        this.#over = true
        this.#visitor.fail(
          this.#lastReset === undefined ? EDGE_ANSWERS.noUpstream : answerToReset(this.#lastReset),
        )
        return false
      }
      const idle = fresh ? undefined : pool.take(upstream, this.#endpoint)
      if (idle !== undefined) {
        this.#stream = idle
        idle.channel.attach(this)
        return true
      }
      try {
        this.#stream = pool.open(upstream, this.#endpoint, this)
        return true
      } catch {
        this.#tried.add(upstream) // leaving or full; the session reports itself
      }
    }
  }

  #send(bytes: Buffer): void {
    if (this.#replay !== undefined) {
      this.#replayBytes += bytes.length
      if (this.#replayBytes > this.#edge.options.maxReplayBytes) this.#replay = undefined
      else this.#replay.push(bytes)
    }
    const { firstByteTimeoutMs, idleTimeoutMs } = this.#edge.options
    this.#visitor.expectWithin(this.#response === undefined ? firstByteTimeoutMs : idleTimeoutMs)
    if (this.#stream?.channel.write(bytes) === false) this.#visitor.pause()
  }

  #begin(head: ResponseHead): void {
    this.#response = head
    this.#responseBody = createBodyReader(head.framing, 'response')
    this.#keepAlive = visitorKeepAlive(this.#request, head) && !this.#edge.draining
    this.#edge.stats.countStatus(head.status)
  }

  #onBody(stream: CarrierStream, head: ResponseHead, rest: Buffer, chunkBytes: number): void {
    const body = this.#responseBody
    if (body === undefined) return
    if (head.upgrade !== undefined) {
      this.#over = true
      this.#writeHead(head, true)
      stream.channel.consume(chunkBytes - rest.length)
      this.#visitor.upgrade(stream, rest)
      return
    }
    let took = true
    let end = 0
    const first = !this.#headSent
    if (this.#request.versionMinor === 0 && head.framing.kind === 'chunked') {
      // An HTTP/1.0 visitor knows no chunks: it gets the payload and the end of the connection.
      if (first) took = this.#writeHead(head, this.#keepAlive)
      end = body.scan(rest, 0, (piece) => {
        took = this.#visitor.write(piece)
      })
    } else {
      end = body.scan(rest, 0)
      const piece = end === rest.length ? rest : rest.subarray(0, end)
      if (first) took = this.#writeHead(head, this.#keepAlive, piece)
      else if (end > 0) took = this.#visitor.write(piece)
    }
    if (took) stream.channel.consume(chunkBytes)
    else this.#owed += chunkBytes
    if (body.done) {
      this.#answered = true
      this.#reusable = head.keepAlive && end === rest.length
      if (this.#requestBody.done) this.#finish()
    }
  }

  #writeHead(head: ResponseHead, keepAlive: boolean, body?: Buffer): boolean {
    const { versionMinor } = this.#request
    if (isInterim(head.status)) {
      // RFC 9110 section 15.2: an HTTP/1.0 client knows no interim answers.
      if (versionMinor === 0) return true
    } else this.#headSent = true
    const headers = forwardResponseHeaders(head, { versionMinor, keepAlive })
    const text = formatResponseHead({ status: head.status, reason: head.reason, headers })
    if (body === undefined || body.length === 0)
      return this.#visitor.write(Buffer.from(text, 'latin1'))
    if (body.length > MAX_JOINED_BYTES) {
      this.#visitor.write(Buffer.from(text, 'latin1'))
      return this.#visitor.write(body)
    }
    const joined = Buffer.allocUnsafe(text.length + body.length)
    joined.write(text, 0, 'latin1')
    body.copy(joined, text.length)
    return this.#visitor.write(joined)
  }

  /** Both halves are complete. */
  #finish(): void {
    const stream = this.#stream
    if (this.#over || stream === undefined) return
    this.#over = true
    this.onVisitorDrain()
    if (this.#reusable) this.#edge.pool.put(this.#endpoint, stream)
    else stream.channel.end()
    this.#visitor.done(this.#keepAlive)
  }

  /** The service's answer cannot be passed on. */
  #refuseResponse(stream: CarrierStream, error: unknown): void {
    this.#over = true
    stream.channel.reset(RESET_REASONS.protocolError)
    if (this.#headSent) this.#breakOff()
    else this.#visitor.fail({ ...EDGE_ANSWERS.badResponse, code: answerToFault(error).code })
  }

  #breakOff(): void {
    this.#visitor.breakOff(this.#response?.framing.kind === 'until-close')
  }
}
