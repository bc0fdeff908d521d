import {
  type BodyReader,
  createBodyReader,
  isInterim,
  type RequestHead,
  type ResponseHead,
  rewriteRequestHead,
  visitorKeepAlive,
} from '@proj/http1'
import type { ChannelSink, ChunkAnswer, MuxError } from '@proj/mux'
import { RESET_REASONS, type ResetReason, resetReasonName } from '@proj/tunnel'
import { sentOn } from '@proj/tunnel/io'
import { neverReachedService, resetReasonOf } from '@proj/tunnel/server'

import { AnswerWriter } from './answer-writer.ts'
import { Attempts, isIdempotent } from './attempts.ts'
import type { CarrierStream } from './carrier-stream.ts'
import { answerToFault, answerToReset, EDGE_ANSWERS, type EdgeAnswer } from './edge-answer.ts'
import type { EdgeContext } from './edge-context.ts'
import type { ExchangeVisitor } from './exchange-visitor.ts'
import type { Route } from './route-request.ts'

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
  readonly #route: Route
  readonly #request: RequestHead
  readonly #requestBody: BodyReader
  readonly #attempts: Attempts
  readonly #answer: AnswerWriter
  #stream: CarrierStream | undefined
  /** Ends the wait for a stream, while there is one. */
  #waiting: AbortController | undefined
  /** What waits for a stream: the head and what came in the same chunk, for the visitor is paused. */
  #unsent: Buffer[] | undefined
  #response: ResponseHead | undefined
  #responseBody: BodyReader | undefined
  #isAnswered = false
  #keepAlive = false
  #isReusable = false
  #owed = 0
  #isOver = false

  constructor(edge: EdgeContext, visitor: ExchangeVisitor, route: Route, request: RequestHead) {
    this.#edge = edge
    this.#visitor = visitor
    this.#route = route
    this.#request = request
    this.#requestBody = createBodyReader(request.framing, 'request')
    this.#attempts = new Attempts(edge, route)
    this.#answer = new AnswerWriter(visitor, request)
  }

  get requestComplete(): boolean {
    return this.#requestBody.done
  }

  get started(): boolean {
    return this.#answer.hasBegun
  }

  /** Sends the request's head on its way; body bytes follow by `onRequestBytes`. */
  start(): void {
    const head = Buffer.from(rewriteRequestHead(this.#request, this.#route.forward), 'latin1')
    this.#open()
    if (!this.#isOver) this.#send(head)
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
    if (end > 0 && !this.#isOver) this.#send(end === chunk.length ? chunk : chunk.subarray(0, end))
    if (this.#requestBody.done && this.#isAnswered) this.#finish()
    return end === chunk.length ? undefined : chunk.subarray(end)
  }

  /** Hands what the visitor sent to the platform now; returns who still refers to it. */
  flush(): ChunkAnswer {
    const channel = this.#stream?.channel
    return !this.#attempts.remembers && channel !== undefined && sentOn(channel)
  }

  /** The visitor has room again. */
  onVisitorDrain(): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.#stream?.channel.consume(owed)
  }

  /** The visitor is gone: the service shall know. */
  abort(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#waiting?.abort()
    this.#stream?.channel.reset(RESET_REASONS.consumerGone)
  }

  /** Nothing happened for too long. */
  expire(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#waiting?.abort()
    this.#stream?.channel.reset(RESET_REASONS.idleTimeout)
    if (this.#response === undefined) this.#visitor.fail(EDGE_ANSWERS.firstByteTimeout)
    else this.#endEarly()
  }

  onData(chunk: Buffer): ChunkAnswer {
    this.#takeAnswer(chunk)
    // Heads became text; of the rest only what the visitor's socket still holds refers to the chunk.
    return this.#stream?.reader.heldBytes === 0 && this.#visitor.writes.holder
  }

  onEnd(): void {
    const stream = this.#stream
    if (stream === undefined || this.#isOver) return
    if (this.#response === undefined) {
      // A reused stream that ends unanswered is mostly a service that hung up on an idle connection.
      if (stream.reused && isIdempotent(this.#request.method) && stream.reader.heldBytes === 0) {
        stream.channel.end()
        this.#again(stream, undefined)
      } else {
        this.#isOver = true
        stream.channel.reset()
        this.#visitor.fail(EDGE_ANSWERS.serviceClosed)
      }
    } else if (!this.#isAnswered && this.#response.framing.kind === 'until-close') {
      this.#isAnswered = true
      if (this.#requestBody.done) this.#finish()
      else this.#abandonRequest(stream)
    } else this.#abandonRequest(stream)
  }

  onDrain(): void {
    this.#visitor.resume()
  }

  onClose(error?: MuxError): void {
    const stream = this.#stream
    if (this.#isOver || error === undefined || stream === undefined) return
    const reason = resetReasonName(resetReasonOf(error))
    if (this.#response !== undefined) {
      this.#isOver = true
      this.#endEarly()
      return
    }
    this.#attempts.failed(reason)
    if (neverReachedService(reason) || (stream.reused && isIdempotent(this.#request.method))) {
      this.#again(stream, reason)
    } else this.#fail(answerToReset(reason))
  }

  #open(): void {
    const stream = this.#attempts.first(this)
    if (stream !== undefined) {
      this.#stream = stream
      for (const piece of this.#unsent ?? []) stream.channel.write(piece)
      this.#unsent = undefined
      this.#visitor.resume()
      return
    }
    // A burst of visitors may outrun the agent's acknowledgements: that is no failure.
    this.#waiting ??= new AbortController()
    const room = this.#attempts.whenRoom(this.#waiting.signal)
    if (room === undefined) {
      this.#fail(this.#attempts.failure)
      return
    }
    this.#visitor.pause()
    const again = (): void => void (this.#isOver || this.#open())
    room.then(again, again)
  }

  #again(failed: CarrierStream, reason: ResetReason | undefined): void {
    this.#stream = this.#attempts.next(this, failed, reason)
    if (this.#stream === undefined) this.#fail(this.#attempts.failure)
    else this.#visitor.resume()
  }

  #fail(answer: EdgeAnswer): void {
    this.#isOver = true
    const { endpoint, forward } = this.#route
    const about = { endpoint: endpoint.name, requestId: forward.requestId, code: answer.code }
    this.#edge.logger.debug(about, 'request failed')
    this.#visitor.fail(answer)
  }

  /** The service has ended its side while the visitor was still sending, or in mid-answer. */
  #abandonRequest(stream: CarrierStream): void {
    this.#isOver = true
    if (this.#isAnswered) stream.channel.end()
    else stream.channel.reset()
    this.#endEarly()
  }

  /** Ends the visitor's side of an exchange whose stream is gone. */
  #endEarly(): void {
    if (this.#isAnswered) this.#visitor.linger()
    else this.#visitor.breakOff(this.#response?.framing.kind === 'until-close')
  }

  #send(bytes: Buffer): void {
    this.#attempts.remember(bytes)
    const { firstByteTimeoutMs, idleTimeoutMs } = this.#edge.options
    this.#visitor.expectWithin(this.#response === undefined ? firstByteTimeoutMs : idleTimeoutMs)
    if (this.#stream === undefined) (this.#unsent ??= []).push(bytes)
    else if (!this.#stream.write(bytes)) this.#visitor.pause()
  }

  #takeAnswer(chunk: Buffer): void {
    const stream = this.#stream
    if (stream === undefined || this.#isOver) return
    this.#visitor.expectWithin(this.#edge.options.idleTimeoutMs)
    this.#attempts.answered()
    try {
      const rest = this.#response === undefined ? this.#takeHeads(stream, chunk) : chunk
      if (this.#response === undefined || rest === undefined) stream.channel.consume(chunk.length)
      else this.#takeBody(stream, this.#response, rest, chunk.length)
    } catch (error) {
      this.#isOver = true
      stream.channel.reset(RESET_REASONS.protocolError)
      if (this.#answer.hasBegun) this.#endEarly()
      else this.#visitor.fail({ ...EDGE_ANSWERS.badResponse, code: answerToFault(error).code })
    }
  }

  /** @returns what follows the final head, or undefined while that has not come. */
  #takeHeads(stream: CarrierStream, chunk: Buffer): Buffer | undefined {
    let rest = chunk
    while (rest.length > 0) {
      const read = stream.reader.push(rest, this.#request)
      if (read === undefined) return undefined
      rest = read.rest
      const { head } = read
      if (!isInterim(head.status)) {
        this.#response = head
        this.#responseBody = createBodyReader(head.framing, 'response')
        this.#keepAlive = visitorKeepAlive(this.#request, head) && !this.#edge.draining
        this.#visitor.answered(head.status)
        return rest
      }
      this.#answer.writeHead(head)
    }
    return undefined
  }

  #takeBody(stream: CarrierStream, head: ResponseHead, rest: Buffer, chunkBytes: number): void {
    const body = this.#responseBody
    if (body === undefined) return
    if (head.upgrade !== undefined) {
      this.#isOver = true
      this.#answer.writeHead(head)
      stream.channel.consume(chunkBytes - rest.length)
      this.#visitor.upgrade(stream, rest)
      return
    }
    if (this.#answer.hasBegun) this.#visitor.writes.gather(stream.channel.session)
    const { end, hasRoom } = this.#answer.writeBody(head, body, rest, this.#keepAlive)
    if (hasRoom) stream.channel.consume(chunkBytes)
    else this.#owed += chunkBytes
    if (body.done) {
      this.#isAnswered = true
      this.#isReusable = head.keepAlive && end === rest.length
      if (this.#requestBody.done) this.#finish()
    }
  }

  /** Both halves are complete. */
  #finish(): void {
    const stream = this.#stream
    if (this.#isOver || stream === undefined) return
    this.#isOver = true
    this.onVisitorDrain()
    if (this.#isReusable) stream.home.put(stream)
    else stream.channel.end()
    this.#visitor.done(this.#keepAlive)
  }
}
