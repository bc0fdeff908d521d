/**
 * The agent's data path to HTTP services with rules. One stream carries the requests of many visitors, one at a
 * time, as our servers send them: each head is read and written anew, bodies are passed on as they come. The
 * stream has a connection to each service that it needed, and keeps it for further requests.
 */
import { Duplex } from 'node:stream'
import { callbackify } from 'node:util'

import { plainAddress } from '@proj/config/address'
import {
  type BodyReader,
  createBodyReader,
  formatErrorResponse,
  getHeader,
  isHttpError,
  isInterim,
  listItems,
  type RequestHead,
  RequestHeadReader,
  type ResponseHead,
  ResponseHeadReader,
  type Strictness,
} from '@proj/http1'
import { isCleanEnd, resetSocket, watchEnd } from '@proj/tunnel/io'

import type { HttpRules } from './http-rules.ts'

/** Longest time that a timer of Node can wait, ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** What a {@link RuledService} is made of. */
export interface RuledServiceOptions {
  /** Those of the listener. */
  readonly rules: HttpRules
  /** Address of the visitor, or `forwarded`: the first entry of X-Forwarded-For, which our server wrote. */
  readonly visitor: 'forwarded' | { readonly address: string | undefined }
  /** How answers are read that break the grammar of HTTP. */
  readonly strictness: Strictness
  /** Longest time from the head of a request to the end of its answer, ms; Infinity: no limit. */
  readonly requestTimeoutMs: number
  /** Connects to the service with this number. */
  readonly dial: (service: number, signal: AbortSignal) => Promise<Duplex>
}

/** A connection to a service. */
interface ServiceConnection {
  readonly socket: Duplex
  readonly answers: ResponseHeadReader
  /** What came of a head that is not complete. */
  held: Buffer[]
  isOver: boolean
}

/** A request whose answer is not complete. */
interface Exchange {
  readonly connection: ServiceConnection
  readonly request: RequestHead
  readonly answerHead: (head: ResponseHead) => string
  readonly settled: Promise<void>
  readonly settle: () => void
  /** The body of the answer, once its head has come. */
  body: BodyReader | undefined
  keepAlive: boolean
}

/** Takes requests and gives answers; `destroy` resets every connection to a service. */
export class RuledService extends Duplex {
  readonly #options: RuledServiceOptions
  readonly #heads = new RequestHeadReader()
  readonly #giveUp = new AbortController()
  /** By number of the service; what is over is undefined. */
  readonly #connections: (ServiceConnection | undefined)[]
  #exchange: Exchange | undefined
  /** Runs while a service has a request, if its time is limited. */
  #timer: NodeJS.Timeout | undefined
  /** The body of the request that is being read, and the connection that gets it; undefined: it is dropped. */
  #body: { readonly reader: BodyReader; readonly to: ServiceConnection | undefined } | undefined
  /** Set behind a 101: bytes are passed on unread. */
  #raw: ServiceConnection | undefined
  /** The rest of what comes from this connection is passed on unread, because its answer is not HTTP. */
  #broken: ServiceConnection | undefined
  #hasEnded = false

  constructor(options: RuledServiceOptions) {
    super({ allowHalfOpen: true })
    this.#options = options
    this.#connections = options.rules.services.map(() => undefined)
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const settle = callbackify(async () => await this.#take(chunk))
    settle((error) => done(error))
  }

  override _final(done: () => void): void {
    const open = this.#raw ?? this.#exchange?.connection
    if (open !== undefined) open.socket.end()
    else if (!this.#hasEnded) this.#end()
    done()
  }

  override _read(): void {
    for (const connection of this.#connections) connection?.socket.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#giveUp.abort()
    // A reset, so that the service does not take an aborted request for a complete one.
    for (const connection of [...this.#connections, this.#raw, this.#broken, this.#body?.to]) {
      if (connection !== undefined) resetSocket(connection.socket)
    }
    done(error)
  }

  async #take(chunk: Buffer): Promise<void> {
    let rest = chunk
    while (rest.length > 0 && !this.destroyed) {
      if (this.#raw !== undefined) {
        await send(this.#raw, rest)
        return
      }
      if (this.#hasEnded || this.#broken !== undefined) return // nothing can answer it
      if (this.#body !== undefined) {
        const { reader, to } = this.#body
        const end = reader.scan(rest, 0)
        if (to !== undefined) await send(to, rest.subarray(0, end))
        rest = rest.subarray(end)
        if (reader.done) {
          this.#body = undefined
          if (to !== undefined && !this.#connections.includes(to)) close(to)
        }
        continue
      }
      if (this.#exchange?.request.upgrade !== undefined) {
        await this.#exchange.settled // what follows may not be HTTP
        continue
      }
      const read = this.#readHead(rest)
      if (read === undefined) return
      rest = read.rest
      await this.#begin(read.head)
    }
  }

  #readHead(bytes: Buffer): { readonly head: RequestHead; readonly rest: Buffer } | undefined {
    try {
      return this.#heads.push(bytes)
    } catch (error) {
      if (!isHttpError(error)) throw error
      const { status, message, code } = error
      this.push(formatErrorResponse({ status, message, code, keepAlive: false }))
      this.#end()
      return undefined
    }
  }

  async #begin(head: RequestHead): Promise<void> {
    await this.#exchange?.settled
    if (this.#hasEnded || this.#broken !== undefined || this.destroyed) return
    const ruled = this.#options.rules.apply(head, this.#visitorOf(head))
    const reader = createBodyReader(head.framing, 'request')
    if ('answer' in ruled) {
      if (!reader.done) this.#body = { reader, to: undefined }
      this.push(ruled.answer)
      return
    }
    const { requestTimeoutMs } = this.#options
    if (requestTimeoutMs < Infinity) {
      const limitMs = Math.min(requestTimeoutMs, LONGEST_TIMER_MS)
      this.#timer = setTimeout(() => this.#onTimeout(head.method), limitMs)
    }
    const connection = this.#connections[ruled.service] ?? (await this.#connect(ruled.service))
    if (connection === undefined) return
    let settle = (): void => {}
    const settled = new Promise<void>((resolve) => (settle = resolve))
    this.#exchange = {
      connection,
      request: head,
      answerHead: ruled.answerHead,
      settled,
      settle,
      body: undefined,
      keepAlive: false,
    }
    if (!reader.done) this.#body = { reader, to: connection }
    await send(connection, Buffer.from(ruled.head, 'latin1'))
  }

  #visitorOf(head: RequestHead): string | undefined {
    const { visitor } = this.#options
    if (visitor !== 'forwarded') return visitor.address
    const [first] = listItems(getHeader(head.headers, 'x-forwarded-for') ?? '')
    return first === undefined ? undefined : plainAddress(first)
  }

  /** @returns undefined where the time of the request ended first. */
  async #connect(service: number): Promise<ServiceConnection | undefined> {
    let socket: Duplex
    try {
      socket = await this.#options.dial(service, this.#giveUp.signal)
    } catch (error) {
      if (this.#hasEnded) return undefined
      throw error
    }
    if (this.#hasEnded) {
      resetSocket(socket)
      return undefined
    }
    const connection = { socket, answers: new ResponseHeadReader(), held: [], isOver: false }
    if (this.destroyed) resetSocket(socket)
    this.#connections[service] = connection
    const over = (error: Error | undefined): void => {
      if (connection.isOver) return
      connection.isOver = true
      if (this.#connections[service] === connection) this.#connections[service] = undefined
      this.#onOver(connection, error)
    }
    watchEnd(socket)
    socket.on('data', (chunk: Buffer) => this.#onAnswer(connection, chunk))
    socket.on('end', () =>
      over(isCleanEnd(socket) ? undefined : new Error('service broke the connection')),
    )
    socket.on('error', over)
    socket.on('close', () => over(new Error('service closed')))
    return connection
  }

  /** Piko's agent does the same: 504, or a broken connection where the answer has begun. */
  #onTimeout(method: string): void {
    const exchange = this.#exchange
    if (exchange?.body !== undefined || this.#broken !== undefined) {
      this.destroy(new Error('the answer was not complete within request_timeout'))
      return
    }
    const message = 'upstream timeout: the service did not answer within request_timeout'
    const code = 'service_timeout'
    this.push(formatErrorResponse({ status: 504, message, code, method, keepAlive: false }))
    this.#end()
    this.#giveUp.abort()
    if (exchange === undefined) return
    const { connection, settle } = exchange
    this.#exchange = undefined
    connection.isOver = true
    resetSocket(connection.socket)
    settle()
  }

  /** The service has ended a connection, or broken it. */
  #onOver(connection: ServiceConnection, error: Error | undefined): void {
    const exchange = this.#exchange
    const isPassed = this.#raw === connection || this.#broken === connection
    const isInUse = isPassed || exchange?.connection === connection
    if (!isInUse) {
      connection.socket.end() // between requests: the next one gets a new connection
      // The visitor waits for room to send the rest of a request that is answered.
      if (this.#body?.to === connection) this.#end()
      return
    }
    if (error !== undefined) {
      this.destroy(error)
      return
    }
    for (const held of connection.held) this.push(held)
    this.#end()
    exchange?.settle()
  }

  #onAnswer(connection: ServiceConnection, chunk: Buffer): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#raw === connection || this.#broken === connection) {
        this.#push(connection, rest)
        return
      }
      const exchange = this.#exchange
      if (exchange?.connection !== connection) {
        this.#drop(connection) // more than was asked for: it belongs to no visitor
        return
      }
      const next =
        exchange.body === undefined
          ? this.#takeAnswerHead(exchange, rest)
          : this.#takeAnswerBody(exchange, exchange.body, rest)
      if (next === undefined) return
      rest = next
    }
  }

  /** @returns the bytes behind the head; undefined when there are none to read. */
  #takeAnswerHead(exchange: Exchange, bytes: Buffer): Buffer | undefined {
    const { connection, request } = exchange
    let read
    try {
      read = connection.answers.push(bytes, request, this.#options.strictness)
    } catch {
      // The server judges it, and tells its visitor and us.
      this.#breakOff(exchange, Buffer.concat([...connection.held, bytes]))
      return undefined
    }
    if (read === undefined) {
      connection.held.push(bytes)
      return undefined
    }
    connection.held = []
    const { head, rest } = read
    this.#push(connection, Buffer.from(exchange.answerHead(head), 'latin1'))
    if (head.status === 101) {
      clearTimeout(this.#timer)
      this.#raw = connection
      this.#push(connection, rest)
      exchange.settle()
      return undefined
    }
    if (!isInterim(head.status)) {
      exchange.keepAlive = head.keepAlive
      exchange.body = createBodyReader(
        head.framing,
        'response',
        undefined,
        this.#options.strictness,
      )
      if (exchange.body.done) this.#complete(exchange)
    }
    return rest
  }

  #takeAnswerBody(exchange: Exchange, body: BodyReader, bytes: Buffer): Buffer | undefined {
    let end: number
    try {
      end = body.scan(bytes, 0)
    } catch {
      this.#breakOff(exchange, bytes)
      return undefined
    }
    this.#push(exchange.connection, body.rewritten(bytes) ?? bytes.subarray(0, end))
    if (body.done) {
      if (body.repaired !== undefined) exchange.keepAlive = false
      this.#complete(exchange)
    }
    return bytes.subarray(end)
  }

  #complete(exchange: Exchange): void {
    clearTimeout(this.#timer)
    this.#exchange = undefined
    if (!exchange.keepAlive) this.#drop(exchange.connection)
    exchange.settle()
  }

  #breakOff(exchange: Exchange, bytes: Buffer): void {
    exchange.connection.held = []
    this.#broken = exchange.connection
    this.#push(exchange.connection, bytes)
    exchange.settle()
  }

  #end(): void {
    clearTimeout(this.#timer)
    this.#hasEnded = true
    this.push(null)
  }

  /** No request is sent on a connection any more; what is being sent goes on. */
  #drop(connection: ServiceConnection): void {
    const at = this.#connections.indexOf(connection)
    if (at >= 0) this.#connections[at] = undefined
    if (this.#body?.to !== connection) close(connection)
  }

  #push(connection: ServiceConnection, bytes: Buffer): void {
    if (bytes.length > 0 && !this.push(bytes)) connection.socket.pause()
  }
}

/** Ends a connection whose last answer is complete, also where the service would not. */
function close({ socket }: ServiceConnection): void {
  socket.end(() => socket.destroy())
}

/** Resolves when the bytes were written: their memory may be used again after that. */
async function send({ socket, isOver }: ServiceConnection, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || isOver || socket.destroyed) return
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
}
