/**
 * Reads the requests and answers of a stream beside the splice. One stream carries one request at a time, as our
 * servers send them. What cannot be read is given up: the exchange stays in the list with the reason, and reading
 * goes on with the next request that begins behind an answer.
 */
import {
  type BodyReader,
  createBodyReader,
  isHttpError,
  isInterim,
  type RequestHead,
  RequestHeadReader,
  ResponseHeadReader,
} from '@proj/http1'
import { resetReasonName, type SpliceTap } from '@proj/tunnel/io'

import { EventSplitter } from './event-splitter.ts'
import type { Exchange } from './exchange.ts'
import type { TapParts } from './tap-parts.ts'
import { type ReadMessage, WebSocketMessages } from './websocket-messages.ts'

/** How many bytes of a chunk are looked at to tell whether a request begins. */
const METHOD_BYTES = 24

/** Longest head that is read, bytes; the server has limits of its own. */
const HEAD_LIMITS = { maxHeadBytes: 65_536, maxHeaders: 1024 }

const NOTHING = Buffer.alloc(0)

/** The tap of a stream with HTTP: of the inspector, and of traces. */
export class HttpTap implements SpliceTap {
  readonly #parts: TapParts
  /** `skipping`: nothing is read until a request begins behind an answer. */
  #mode: 'http' | 'switched' | 'skipping' = 'http'
  /** Made by the first exchange; undefined again when a head could not be read. */
  #requestHeads: RequestHeadReader | undefined
  #responseHeads: ResponseHeadReader | undefined
  #exchange: Exchange | undefined
  #head: RequestHead | undefined
  #requestBody: BodyReader | undefined
  #responseBody: BodyReader | undefined
  /** The end of the service is that of its answer. */
  #endsWithConnection = false
  #events: EventSplitter | undefined
  #messages: { readonly in: WebSocketMessages; readonly out: WebSocketMessages } | undefined
  #connectedAt: number | undefined
  /** The service has answered since the visitor's last bytes. */
  #hasAnswered = true
  #visitorEnded = false

  constructor(parts: TapParts) {
    this.#parts = parts
  }

  onConnected(): void {
    this.#connectedAt = performance.now()
    if (this.#exchange !== undefined) this.#exchange.times.connected = this.#connectedAt
  }

  toSocket(chunk: Buffer): void {
    if (this.#exchange === undefined && !this.#parts.isOn) this.#mode = 'skipping'
    if (this.#mode === 'skipping' && !(this.#hasAnswered && this.#parts.isOn)) {
      this.#hasAnswered = false
      return
    }
    try {
      this.#fromVisitor(chunk)
    } catch (error) {
      this.#giveUp(error)
    }
    this.#hasAnswered = false
  }

  fromSocket(chunk: Buffer): void {
    this.#hasAnswered = true
    if (this.#mode === 'skipping') return
    try {
      this.#fromService(chunk)
    } catch (error) {
      this.#giveUp(error)
    }
  }

  onVisitorEnd(): void {
    this.#visitorEnded = true
    this.#exchange?.noteEnd('visitor')
  }

  onServiceEnd(): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    exchange.noteEnd('service')
    if (this.#endsWithConnection || this.#mode === 'switched') this.#finish()
  }

  onClose(reason: number | undefined, error: Error | undefined): void {
    const exchange = this.#exchange
    if (exchange === undefined) {
      if (reason !== undefined) this.#parts.onFailed(resetReasonName(reason))
      return
    }
    // An answer that ends with the connection was finished by `onServiceEnd`.
    const isWhole = exchange.response !== undefined && this.#responseBody === undefined
    if (error === undefined && reason === undefined && isWhole) return this.#finish()
    const code = reason === undefined ? 'serviceClosed' : resetReasonName(reason)
    const isLongLived = this.#mode === 'switched' || exchange.kind === 'sse'
    if (isLongLived && code === 'consumerGone') {
      exchange.noteEnd('visitor')
      return this.#finish()
    }
    exchange.code = code
    if (exchange.response === undefined) this.#parts.onFailed(code)
    this.#finish('failed')
  }

  #fromVisitor(chunk: Buffer): void {
    if (this.#exchange?.isGone === true) return this.#drop()
    if (this.#mode === 'skipping' && !(beginsRequest(chunk) && this.#begin())) return
    const { store } = this.#parts
    if (this.#mode === 'switched') {
      const exchange = this.#exchange
      if (exchange === undefined) return
      exchange.bytesIn += chunk.length
      if (this.#messages === undefined) {
        exchange.requestBody.add(chunk, (more) => store.charge(exchange, more))
      } else this.#messages.in.push(chunk)
      store.touch(exchange)
      return
    }
    let rest = chunk
    while (rest.length > 0) {
      const body = this.#requestBody
      if (body !== undefined && !body.done) {
        rest = this.#takeRequestBody(body, rest)
        continue
      }
      if (this.#head !== undefined) throw new Error('a second request before the answer')
      if (this.#exchange === undefined && !this.#begin()) return
      const before = rest.length
      this.#requestHeads ??= new RequestHeadReader(HEAD_LIMITS)
      const read = this.#requestHeads.push(rest)
      rest = read?.rest ?? NOTHING
      const exchange = this.#exchange
      if (exchange !== undefined) exchange.bytesIn += before - rest.length
      if (read !== undefined) this.#takeRequest(read.head)
    }
  }

  /** @returns false when this request is not captured. */
  #begin(): boolean {
    const exchange = this.#parts.begin('http')
    if (exchange === undefined) {
      this.#mode = 'skipping'
      return false
    }
    this.#mode = 'http'
    this.#messages = undefined
    this.#exchange = exchange
    if (this.#connectedAt !== undefined) exchange.times.connected = this.#connectedAt
    return true
  }

  #takeRequest(head: RequestHead): void {
    const { store, visitor, rttMs } = this.#parts
    const exchange = this.#exchange
    if (exchange === undefined) return
    this.#head = head
    exchange.request = head
    exchange.requestId = head.header('x-request-id')
    const forwarded = head.header('x-forwarded-for')?.split(',', 1)[0]?.trim()
    exchange.visitor = forwarded ?? visitor
    exchange.tunnelMs = rttMs()
    store.charge(exchange, exchange.bytesIn * 2)
    this.#requestBody = createBodyReader(head.framing, 'request')
    if (this.#requestBody.done) exchange.times.requestEnd = performance.now()
    store.touch(exchange)
  }

  #takeRequestBody(body: BodyReader, bytes: Buffer): Buffer {
    const { store } = this.#parts
    const exchange = this.#exchange
    const charge = (more: number): boolean => exchange !== undefined && store.charge(exchange, more)
    const end = body.scan(bytes, 0, (piece) => exchange?.requestBody.add(piece, charge))
    if (exchange !== undefined) {
      exchange.bytesIn += end
      if (body.done) exchange.times.requestEnd = performance.now()
      store.touch(exchange)
    }
    return bytes.subarray(end)
  }

  #fromService(chunk: Buffer): void {
    const exchange = this.#exchange
    if (exchange?.isGone === true) return this.#drop()
    const head = this.#head
    if (exchange === undefined || head === undefined) return
    const { store } = this.#parts
    exchange.bytesOut += chunk.length
    if (exchange.times.responseStart === undefined) this.#parts.onAnswer(exchange)
    exchange.times.responseStart ??= performance.now()
    let rest = chunk
    while (rest.length > 0) {
      if (this.#mode === 'switched') {
        if (this.#messages === undefined) {
          exchange.responseBody.add(rest, (more) => store.charge(exchange, more))
        } else this.#messages.out.push(rest)
        break
      }
      if (this.#responseBody === undefined) {
        const before = rest.length
        this.#responseHeads ??= new ResponseHeadReader(HEAD_LIMITS)
        const read = this.#responseHeads.push(rest, head, 'lenient')
        if (read === undefined) break
        rest = read.rest
        store.charge(exchange, (before - rest.length) * 2)
        if (isInterim(read.head.status)) continue
        this.#takeAnswer(exchange, read.head)
      } else {
        const charge = (more: number): boolean => store.charge(exchange, more)
        const end = this.#responseBody.scan(rest, 0, (piece) => {
          exchange.responseBody.add(piece, charge)
          this.#events?.push(piece)
        })
        rest = rest.subarray(end)
        if (!this.#responseBody.done) break
      }
      if (this.#responseBody?.done === true) {
        this.#finish()
        return // nothing else was asked for
      }
    }
    store.touch(exchange)
  }

  #takeAnswer(
    exchange: Exchange,
    head: NonNullable<ReturnType<ResponseHeadReader['push']>>['head'],
  ): void {
    exchange.response = head
    if (head.status === 101) {
      this.#mode = 'switched'
      if (head.upgrade?.toLowerCase() === 'websocket') {
        exchange.kind = 'websocket'
        if (!this.#parts.keepsMessages) return
        this.#messages = {
          in: new WebSocketMessages((message) => this.#addMessage('visitor', message)),
          out: new WebSocketMessages((message) => this.#addMessage('service', message)),
        }
      }
      return
    }
    this.#responseBody = createBodyReader(head.framing, 'response', undefined, 'lenient')
    this.#endsWithConnection = head.framing.kind === 'until-close'
    if (/^text\/event-stream\b/i.test(head.header('content-type') ?? '')) {
      exchange.kind = 'sse'
      // Compressed events are undone with the body alone, when a page asks.
      if (!this.#parts.keepsMessages || head.header('content-encoding') !== undefined) return
      this.#events = new EventSplitter(({ bytes, data }) =>
        this.#addMessage('service', { type: 'event', bytes, data, isCompressed: false }),
      )
    }
  }

  #addMessage(
    from: 'visitor' | 'service',
    message: Omit<ReadMessage, 'type'> & { readonly type: ReadMessage['type'] | 'event' },
  ): void {
    const exchange = this.#exchange
    if (exchange === undefined || exchange.isGone) return
    const before = exchange.messageBytes
    exchange.addMessage({ from, atMs: exchange.ageMs, ...message })
    // Less than 0 where the messages that were dropped for it were longer.
    const more = exchange.messageBytes - before
    if (!this.#parts.store.charge(exchange, more)) {
      throw new Error('no memory is left for its messages')
    }
  }

  #finish(state: 'done' | 'failed' = 'done'): void {
    const exchange = this.#exchange
    if (exchange !== undefined) this.#parts.finish(exchange, state)
    this.#exchange = undefined
    this.#head = undefined
    const isWhole = this.#requestBody === undefined || this.#requestBody.done
    this.#requestBody = undefined
    this.#responseBody = undefined
    this.#endsWithConnection = false
    this.#events = undefined
    // The answer came before the end of the request: what follows is the rest of it.
    if (this.#mode === 'switched' || !isWhole || this.#visitorEnded) this.#mode = 'skipping'
  }

  #giveUp(error: unknown): void {
    const exchange = this.#exchange
    if (exchange !== undefined) {
      const { code, message } = error as { code?: unknown; message?: unknown }
      exchange.givenUp = isHttpError(error) ? String(code) : String(message)
      exchange.messages.length = 0
    }
    this.#finish(exchange?.response === undefined ? 'failed' : 'done')
    this.#mode = 'skipping'
    this.#requestHeads = undefined
    this.#responseHeads = undefined
  }

  /** The exchange is no longer kept: the rest of it is not read. */
  #drop(): void {
    this.#finish()
    this.#mode = 'skipping'
    this.#requestHeads = undefined
    this.#responseHeads = undefined
  }
}

/** Whether a chunk looks like the first one of a request: a method, a space, a path. */
function beginsRequest(chunk: Buffer): boolean {
  const end = Math.min(chunk.length - 1, METHOD_BYTES)
  for (let index = 0; index < end; index++) {
    const byte = chunk[index] as number
    if (byte === 0x20) return index > 0 && (chunk[index + 1] === 0x2f || chunk[index + 1] === 0x2a)
    if (byte < 0x41 || byte > 0x5a) return false
  }
  return false
}
