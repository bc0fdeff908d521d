import type { ClientRequest } from 'node:http'

/**
 * A request whose connection is being opened. Node gives a request its socket at once, and a timeout or
 * destroy() acts on it; here there is no socket yet, so both act on the dial.
 */
export class PendingRequest {
  readonly #request: ClientRequest | undefined
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined

  constructor(request: ClientRequest | undefined, agentTimeoutMs: number | undefined) {
    this.#request = request
    if (request === undefined) return
    const { timeout } = request as ClientRequest & { readonly timeout?: number }
    this.#arm(timeout ?? agentTimeoutMs)
    // Methods of this one request, until it has its socket.
    request.setTimeout = (timeoutMs, callback) => {
      this.#arm(timeoutMs)
      return Object.getPrototypeOf(request).setTimeout.call(request, timeoutMs, callback)
    }
    request.destroy = (error) => {
      const destroyed = Object.getPrototypeOf(request).destroy.call(request, error)
      this.abort(error)
      return destroyed
    }
  }

  /** Aborts when the request is destroyed. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Ends the dial; the error is that of the request. */
  abort(error?: Error): void {
    this.#controller.abort(
      error ?? Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }),
    )
  }

  /** Ends the wait: from now on the socket does all this. */
  settle(): void {
    clearTimeout(this.#timer)
    const request = this.#request as Partial<ClientRequest> | undefined
    if (request === undefined) return
    delete request.setTimeout
    delete request.destroy
  }

  #arm(timeoutMs: number | undefined): void {
    clearTimeout(this.#timer)
    if (timeoutMs === undefined || !(timeoutMs > 0)) return
    this.#timer = setTimeout(() => this.#request?.emit('timeout'), timeoutMs)
  }
}
