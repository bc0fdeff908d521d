/**
 * The agent's data path to an HTTP service whose visitor rules the agent enforces. One stream carries the
 * requests of many visitors: each request head is judged before it is forwarded, and the service is dialed
 * for the first request that is allowed. Bodies are forwarded unchanged.
 */
import { Duplex } from 'node:stream'
import { callbackify } from 'node:util'

import { type Gate, judgeAll, type Denial } from '@proj/auth'
import { plainAddress } from '@proj/config/address'
import {
  type BodyReader,
  createBodyReader,
  errorForm,
  formatErrorResponse,
  formatRequestHead,
  getHeader,
  isInterim,
  listItems,
  type RequestHead,
  RequestHeadReader,
  ResponseHeadReader,
} from '@proj/http1'
import { visitorAnswer } from '@proj/program-kit'
import { isCleanEnd, resetSocket, watchEnd } from '@proj/tunnel/io'

/** What a {@link GatedService} is made of. */
export interface GatedServiceOptions {
  /** Each of them has to allow a request. */
  readonly gates: readonly Gate[]
  /** Name of the endpoint, for challenges. */
  readonly endpoint: string
  /**
   * Address of the visitor, or `forwarded` where the X-Forwarded-For of each request has it because one of
   * our servers wrote it.
   */
  readonly visitor: 'forwarded' | { readonly address: string | undefined }
  /** Connects to the service; called once, for the first request that is allowed. */
  readonly dial: (signal: AbortSignal) => Promise<Duplex>
}

/** Takes requests and gives answers. One request at a time, as our servers send them. */
export class GatedService extends Duplex {
  readonly #options: GatedServiceOptions
  readonly #heads = new RequestHeadReader()
  readonly #giveUp = new AbortController()
  #service: Duplex | undefined
  /** The body of the request being read, and whether it is forwarded or dropped. */
  #body: { readonly reader: BodyReader; readonly passes: boolean } | undefined
  /** Reads the answer to an upgrade request; no further request is read until it is there. */
  #switching:
    | { readonly take: (chunk: Buffer) => void; readonly settled: Promise<void> }
    | undefined
  #isRaw = false

  constructor(options: GatedServiceOptions) {
    super({ allowHalfOpen: true })
    this.#options = options
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const settle = callbackify(async () => await this.#take(chunk))
    settle((error) => done(error))
  }

  override _final(done: () => void): void {
    if (this.#service === undefined) this.push(null)
    else this.#service.end()
    done()
  }

  override _read(): void {
    this.#service?.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#giveUp.abort()
    // A reset, so that the service does not take an aborted request for a complete one.
    if (this.#service !== undefined) resetSocket(this.#service)
    done(error)
  }

  async #take(chunk: Buffer): Promise<void> {
    let rest = chunk
    while (rest.length > 0) {
      await this.#switching?.settled
      if (this.#isRaw) {
        await this.#pass(rest)
        return
      }
      if (this.#body === undefined) {
        const read = this.#heads.push(rest)
        if (read === undefined) return
        rest = read.rest
        await this.#begin(read.head)
      } else {
        const { reader, passes } = this.#body
        const end = reader.scan(rest, 0)
        if (passes) await this.#pass(rest.subarray(0, end))
        rest = rest.subarray(end)
        if (reader.done) this.#body = undefined
      }
    }
  }

  async #begin(head: RequestHead): Promise<void> {
    const { gates, endpoint } = this.#options
    const { method, target, headers } = head
    const decision = await judgeAll(gates, { headers, endpoint, address: this.#addressOf(head) })
    const reader = createBodyReader(head.framing, 'request')
    if (!reader.done) this.#body = { reader, passes: decision.admitted }
    if (!decision.admitted) {
      this.#deny(decision, head)
      return
    }
    this.#service ??= await this.#connect()
    if (head.upgrade !== undefined) this.#switching = this.#watch(head)
    const kept = decision.consumed ? withoutAuthorization(headers) : headers
    await this.#pass(Buffer.from(formatRequestHead({ method, target, headers: kept }), 'latin1'))
  }

  #addressOf(head: RequestHead): string | undefined {
    const { visitor } = this.#options
    if (visitor !== 'forwarded') return visitor.address
    // The server keeps the entries of trusted proxies alone, so the first one is the visitor.
    const [first] = listItems(getHeader(head.headers, 'x-forwarded-for') ?? '')
    return first === undefined ? undefined : plainAddress(first)
  }

  #deny(denial: Denial, { method, headers }: RequestHead): void {
    const form = errorForm(headers)
    const told = { ...denial, requestId: getHeader(headers, 'x-request-id'), page: undefined }
    const content = form === 'any' ? undefined : visitorAnswer(told, form, Date.now())
    const answer = { ...denial, message: denial.error, method, keepAlive: true, content }
    this.push(formatErrorResponse(answer))
  }

  async #connect(): Promise<Duplex> {
    const service = await this.#options.dial(this.#giveUp.signal)
    if (this.destroyed) resetSocket(service)
    service.on('data', (chunk: Buffer) => {
      this.#switching?.take(chunk)
      if (!this.push(chunk)) service.pause()
    })
    watchEnd(service)
    service.on('end', () => {
      if (isCleanEnd(service)) this.push(null)
      else this.destroy(new Error('service broke the connection'))
    })
    service.on('error', (error) => this.destroy(error))
    service.on('close', () => {
      if (!service.readableEnded) this.destroy(new Error('service closed'))
    })
    return service
  }

  /** Waits for the answer to an upgrade: after a 101 the bytes are not HTTP, after another status they are. */
  #watch(head: RequestHead): { take: (chunk: Buffer) => void; settled: Promise<void> } {
    const answers = new ResponseHeadReader()
    let settle = (): void => {}
    const settled = new Promise<void>((resolve) => (settle = resolve))
    const end = (isRaw: boolean): void => {
      this.#isRaw = isRaw
      this.#switching = undefined
      settle()
    }
    const take = (chunk: Buffer): void => {
      try {
        let rest = chunk
        while (rest.length > 0) {
          const read = answers.push(rest, head)
          if (read === undefined) return
          if (!isInterim(read.head.status)) {
            end(read.head.status === 101)
            return
          }
          rest = read.rest
        }
      } catch (error) {
        this.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    }
    return { take, settled }
  }

  async #pass(bytes: Buffer): Promise<void> {
    const service = this.#service
    if (service === undefined || bytes.length === 0) return
    await new Promise<void>((resolve, reject) => {
      service.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
  }
}

function withoutAuthorization(headers: readonly string[]): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== 'authorization')
}
