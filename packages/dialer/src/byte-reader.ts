import type { Duplex } from 'node:stream'

import { closedEarly, ignoreError } from './socket-event.ts'

/** What a parser found: a value, and how many bytes it took. */
export interface Parsed<T> {
  readonly value: T
  readonly used: number
}

/**
 * Reads the start of a connection that will be handed over. Bytes behind what a parser took are put
 * back, so whoever gets the socket next reads them first. What may be buffered is bounded.
 */
export class ByteReader {
  readonly #socket: Duplex
  readonly #maxBytes: number
  #received = Buffer.alloc(0)

  constructor(socket: Duplex, maxBytes: number) {
    this.#socket = socket
    this.#maxBytes = maxBytes
  }

  /** Bytes received since the last successful read, for error messages. */
  get received(): Buffer {
    return this.#received
  }

  /**
   * Feeds a parser until it finds what it wants.
   * @throws an Error with code ECONNRESET when the peer ends first or EMSGSIZE beyond the bound,
   * whatever the parser throws, or the reason of the signal. The socket is then destroyed.
   */
  read<T>(parse: (bytes: Buffer) => Parsed<T> | undefined, signal: AbortSignal): Promise<T> {
    const socket = this.#socket
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        socket.off('readable', onReadable)
        socket.off('end', onEnd)
        socket.off('close', onEnd)
        socket.off('error', fail)
        signal.removeEventListener('abort', onAbort)
        settle()
      }
      const fail = (reason: unknown): void => {
        finish(() => reject(reason))
        socket.on('error', ignoreError)
        socket.destroy()
      }
      const onEnd = (): void => fail(closedEarly())
      const onAbort = (): void => fail(signal.reason)
      const onReadable = (): void => {
        // "readable" leaves the stream paused: nothing is lost between this owner and the next.
        const chunk: unknown = socket.read()
        if (!Buffer.isBuffer(chunk)) return
        this.#received = Buffer.concat([this.#received, chunk])
        let parsed: Parsed<T> | undefined
        try {
          parsed = parse(this.#received)
        } catch (error) {
          fail(error)
          return
        }
        if (parsed === undefined) {
          if (this.#received.length > this.#maxBytes) fail(tooLarge(this.#maxBytes))
          return
        }
        const { value, used } = parsed
        const rest = this.#received.subarray(used)
        this.#received = Buffer.alloc(0)
        finish(() => resolve(value))
        if (rest.length > 0) socket.unshift(rest)
      }
      if (signal.aborted) {
        fail(signal.reason)
        return
      }
      if (socket.destroyed) {
        fail(closedEarly())
        return
      }
      socket.on('readable', onReadable)
      socket.on('end', onEnd)
      socket.on('close', onEnd)
      socket.on('error', fail)
      signal.addEventListener('abort', onAbort, { once: true })
      // Bytes that were put back by an earlier read raise no event of their own.
      if (socket.readableLength > 0) onReadable()
    })
  }
}

/** Says what the first bytes of a peer look like, for people who took one port for another. */
export function describeBytes(bytes: Buffer): string {
  const [first, second] = bytes
  if (first === undefined) return 'nothing'
  if (
    first === 0x05 ||
    (first === 0x00 && second !== undefined && second >= 0x5a && second <= 0x5d)
  ) {
    return 'a SOCKS answer'
  }
  if ((first === 0x15 || first === 0x16) && second === 0x03) return 'TLS'
  const text = bytes.subarray(0, 32).toString('latin1')
  if (text.startsWith('HTTP/') || (text.length > 1 && 'HTTP/'.startsWith(text))) return 'HTTP'
  return JSON.stringify(text.replaceAll(/[^\x20-\x7e]/g, '.'))
}

function tooLarge(maxBytes: number): Error {
  return Object.assign(new Error(`more than ${maxBytes} bytes`), { code: 'EMSGSIZE' })
}
