/** A connection whose bytes are counted while it lives; a `SocketSplice` is one. */
export interface MeteredConnection {
  /** Bytes that went to the socket so far. */
  readonly bytesToSocket: number
  /** Bytes that came from the socket so far. */
  readonly bytesFromSocket: number
  /** Requests that were answered on it so far. Default: it carries none. */
  readonly requests?: number
  /** Whether a request runs on it, or it carries none. Default: true. */
  readonly isBusy?: boolean
}

/**
 * Counts the connections of one listener or access and their bytes, those of open connections
 * included. Sums are made when they are asked for, so counting costs nothing per chunk.
 */
export class Traffic {
  readonly #open = new Set<MeteredConnection>()
  #total = 0
  #toSocket = 0
  #fromSocket = 0
  #requests = 0

  /** Connections that are open now. */
  get open(): number {
    return this.#open.size
  }

  /** Connections that are open now and carry a request, or something else than requests. */
  get busy(): number {
    let count = 0
    for (const { isBusy = true } of this.#open) count += isBusy ? 1 : 0
    return count
  }

  /** Requests that were answered so far. */
  get requests(): number {
    let sum = this.#requests
    for (const { requests = 0 } of this.#open) sum += requests
    return sum
  }

  /** Connections since the start, open ones included. */
  get total(): number {
    return this.#total
  }

  /** Bytes to all sockets so far. */
  get bytesToSocket(): number {
    let sum = this.#toSocket
    for (const { bytesToSocket } of this.#open) sum += bytesToSocket
    return sum
  }

  /** Bytes from all sockets so far. */
  get bytesFromSocket(): number {
    let sum = this.#fromSocket
    for (const { bytesFromSocket } of this.#open) sum += bytesFromSocket
    return sum
  }

  /** Counts a connection and its bytes from now on. */
  add(connection: MeteredConnection): void {
    this.#total += 1
    this.#open.add(connection)
  }

  /** A connection is over; its bytes stay counted. One that is not open changes nothing. */
  remove(connection: MeteredConnection): void {
    if (!this.#open.delete(connection)) return
    this.#toSocket += connection.bytesToSocket
    this.#fromSocket += connection.bytesFromSocket
    this.#requests += connection.requests ?? 0
  }
}
