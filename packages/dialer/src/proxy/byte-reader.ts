import type { Duplex } from 'node:stream'

import { closedEarly, ignoreError } from '../socket-event.ts'

/** Result of a parser: a value, and the number of bytes it used. */
export interface Parsed<T> {
  readonly value: T
  readonly used: number
}

/**
 * Reads the first bytes of a connection that another owner uses later. Bytes that the parser did not
 * use are put back, so the next owner reads them first. The buffered bytes are limited.
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
   * Calls a parser with the received bytes until it returns a value.
   * @throws an Error with code ECONNRESET when the peer closes first, or EMSGSIZE above the limit; the
   * error of the parser; or the reason of the signal. The socket is then destroyed.
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
        // "readable" leaves the stream paused, so no bytes are lost before the next owner reads.
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
      // Bytes that an earlier read put back do not cause an event.
      if (socket.readableLength > 0) onReadable()
    })
  }
}

/** Guesses the protocol from the first bytes of a peer, to find out that a port is the wrong one. */
export function guessProtocol(bytes: Buffer): 'SOCKS' | 'TLS' | 'HTTP' | undefined {
  const [first, second] = bytes
  if (first === undefined) return undefined
  if (first === 0x05) return 'SOCKS'
  if (first === 0x00 && second !== undefined && second >= 0x5a && second <= 0x5d) return 'SOCKS'
  if ((first === 0x15 || first === 0x16) && second === 0x03) return 'TLS'
  const text = bytes.subarray(0, 5).toString('latin1')
  return text.length > 1 && 'HTTP/'.startsWith(text) ? 'HTTP' : undefined
}

/** Describes the first bytes of a peer for an error message: the protocol, or the bytes as text. */
export function describeBytes(bytes: Buffer): string {
  if (bytes.length === 0) return 'nothing'
  const text = bytes.subarray(0, 32).toString('latin1')
  return guessProtocol(bytes) ?? JSON.stringify(text.replaceAll(/[^\x20-\x7e]/g, '.'))
}

function tooLarge(maxBytes: number): Error {
  return Object.assign(new Error(`more than ${maxBytes} bytes`), { code: 'EMSGSIZE' })
}
