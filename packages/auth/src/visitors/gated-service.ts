/**
 * An HTTP service behind gates, for whoever gets the requests of many visitors on one stream: each head is
 * read and judged, and only then does it go on to the service, which is not even dialed before. Bodies pass
 * as they are.
 */
import { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { callbackify } from 'node:util'

import {
  type BodyReader,
  createBodyReader,
  formatErrorResponse,
  formatRequestHead,
  getHeader,
  isInterim,
  listItems,
  type RequestHead,
  RequestHeadReader,
  ResponseHeadReader,
} from '@proj/http1'

import { plainAddress } from './address-rules.ts'
import type { Gate } from './gate.ts'
import { judgeAll } from './judge-all.ts'
import type { Refusal } from './verdict.ts'

/** What stands between a stream and its service. */
export interface GatedServiceOptions {
  /** All of them have to let a request pass. */
  readonly gates: readonly Gate[]
  /** Endpoint, named in challenges. */
  readonly endpoint: string
  /**
   * Who is at the other end: an address, or `forwarded` when the X-Forwarded-For of each request says it,
   * because a server of ours has written it.
   */
  readonly visitor: 'forwarded' | { readonly address: string | undefined }
  /** Connects to the service; called once, for the first request that may pass. */
  readonly dial: (signal: AbortSignal) => Promise<Duplex>
}

/** A stream of requests in, a stream of answers out. One request at a time, as servers of ours send them. */
export class GatedService extends Duplex {
  readonly #options: GatedServiceOptions
  readonly #heads = new RequestHeadReader()
  readonly #giveUp = new AbortController()
  #service: Duplex | undefined
  /** The body of the request that is passing, and whether it passes or is dropped. */
  #body: { readonly reader: BodyReader; readonly passes: boolean } | undefined
  /** Looks for the answer to an offer to switch protocols; until it is there nothing more is read. */
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
    if (this.#service !== undefined) breakOff(this.#service)
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
    const verdict = await judgeAll(gates, { headers, endpoint, address: this.#addressOf(head) })
    const reader = createBodyReader(head.framing, 'request')
    if (!reader.done) this.#body = { reader, passes: verdict.admitted }
    if (!verdict.admitted) {
      this.#refuse(verdict, method)
      return
    }
    this.#service ??= await this.#connect()
    if (head.upgrade !== undefined) this.#switching = this.#watch(head)
    const kept = verdict.consumed ? withoutAuthorization(headers) : headers
    await this.#pass(Buffer.from(formatRequestHead({ method, target, headers: kept }), 'latin1'))
  }

  #addressOf(head: RequestHead): string | undefined {
    const { visitor } = this.#options
    if (visitor !== 'forwarded') return visitor.address
    // The server keeps the entries of trusted proxies alone, so that the first is the visitor.
    const [first] = listItems(getHeader(head.headers, 'x-forwarded-for') ?? '')
    return first === undefined ? undefined : plainAddress(first)
  }

  #refuse({ status, error, code, headers }: Refusal, method: string): void {
    const answer = { status, message: error, code, headers, method, keepAlive: true }
    this.push(formatErrorResponse(answer))
  }

  async #connect(): Promise<Duplex> {
    const service = await this.#options.dial(this.#giveUp.signal)
    service.on('data', (chunk: Buffer) => {
      this.#switching?.take(chunk)
      if (!this.push(chunk)) service.pause()
    })
    service.on('end', () => this.push(null))
    service.on('error', (error) => this.destroy(error))
    service.on('close', () => {
      if (!service.readableEnded) this.destroy(new Error('service closed'))
    })
    return service
  }

  /** Waits for the answer to an upgrade: what follows a 101 is no HTTP, what follows another is. */
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

/** A service must not take what was broken off for what ended. */
function breakOff(service: Duplex): void {
  // While its end is being sent a socket cannot be reset, and has said all it had to say.
  const isEnding = service.writableEnded && service.writableLength === 0
  if (service instanceof Socket && !isEnding && !service.destroyed) service.resetAndDestroy()
  else service.destroy()
}

function withoutAuthorization(headers: readonly string[]): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase() !== 'authorization')
}
