// A request without a tunnel that a proxy answered with 407, sent once more with an answer to the
// challenge. The caller keeps its request: what happens to the second one happens to it, but Node's
// links between a response and its own request (`res.req`, `req.res`) stay, because Node uses them.

import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'

/** Most bytes of a body that are kept for the second request. */
export const MAX_REPEATED_BODY: number = 64 * 1024

/**
 * Keeps the body of a request while it is written. Only for requests that can be challenged, because it
 * keeps what Node would let go.
 */
export class RepeatableBody {
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #isComplete = false

  constructor(request: ClientRequest) {
    type Method = (...given: unknown[]) => unknown
    const { write, end } = Object.getPrototypeOf(request) as Record<'write' | 'end', Method>
    const keeping =
      (method: Method, isLast: boolean): Method =>
      (...given) => {
        // The first argument of `end` can be its callback.
        if (typeof given[0] !== 'function') this.#keep(given[0], given[1])
        this.#isComplete ||= isLast
        return method.apply(request, given)
      }
    Object.assign(request, { write: keeping(write, false), end: keeping(end, true) })
  }

  /** The whole body; undefined when it is not complete or too long to be kept. */
  get bytes(): Buffer | undefined {
    if (!this.#isComplete || this.#bytes > MAX_REPEATED_BODY) return undefined
    return Buffer.concat(this.#chunks)
  }

  #keep(chunk: unknown, encoding: unknown): void {
    if (chunk === undefined || chunk === null) return
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, (typeof encoding === 'string' ? encoding : 'utf8') as BufferEncoding)
        : Buffer.from(chunk as Uint8Array)
    this.#bytes += bytes.length
    if (this.#bytes > MAX_REPEATED_BODY) this.#chunks.length = 0
    else this.#chunks.push(bytes)
  }
}

/** Takes the place of a request that was answered with 407, and whose response is not shown. */
export class RepeatedRequest {
  readonly #emit: (name: string | symbol, ...values: unknown[]) => boolean
  readonly #controller = new AbortController()
  readonly #challenge: IncomingMessage
  #again: ClientRequest | undefined
  #timeoutMs: number | undefined

  /**
   * @param challenge - the first response; its body is read to its end, which frees the connection
   * @param emit - of the request, without what hides the first response
   */
  constructor(
    request: ClientRequest,
    challenge: IncomingMessage,
    emit: (name: string | symbol, ...values: unknown[]) => boolean,
  ) {
    this.#emit = emit
    this.#challenge = challenge
    challenge.on('error', () => {}).resume()
    request.destroy = (error) => {
      // Without an error it stays without one when there is a response.
      this.#again?.destroy(error)
      this.#controller.abort(
        error ?? Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }),
      )
      return request
    }
    request.setTimeout = (timeoutMs, callback) => {
      if (callback !== undefined) request.once('timeout', callback)
      this.#timeoutMs = timeoutMs
      this.#again?.setTimeout(timeoutMs)
      return request
    }
  }

  /** Aborts when the request is destroyed; the reason is its error. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Sends the request again. */
  send(options: object, body: Buffer): void {
    const again = httpRequest(options)
    this.#again = again
    if (this.#timeoutMs !== undefined) again.setTimeout(this.#timeoutMs)
    if (this.signal.aborted) again.destroy(this.signal.reason as Error)
    again.on('response', (response: IncomingMessage) => {
      this.#dropChallenge()
      if (!this.#emit('response', response)) response.resume()
    })
    again.on('error', (error) => {
      this.#dropChallenge()
      this.#emit('error', error)
    })
    again.on('timeout', () => this.#emit('timeout'))
    again.on('information', (information: unknown) => this.#emit('information', information))
    again.on('close', () => this.#emit('close'))
    again.end(body)
  }

  /** Ends the request with an error. */
  fail(error: Error): void {
    this.#dropChallenge()
    this.#emit('error', error)
    this.#emit('close')
  }

  /** Closes the first connection when the proxy has not ended its response by now. */
  #dropChallenge(): void {
    if (!this.#challenge.complete) this.#challenge.destroy()
  }
}
