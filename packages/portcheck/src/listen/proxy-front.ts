// What a listener behind a load balancer does first: the header of the PROXY protocol is read and taken off, and
// from there on the connection is that of the client the header names.
import type { Socket } from 'node:net'

import { type AddressBlock, AddressSet } from '@proj/config/address'

import { limitOf } from '../limits.ts'
import type { Peer } from './peer.ts'
import { readProxyHeader } from './proxy-header.ts'

/** How a listener takes connections of load balancers. */
export interface ProxyProtocolOptions {
  /**
   * Addresses and blocks of the load balancers. Each connection of theirs has to begin with a header of the PROXY
   * protocol, version 1 or 2; connections of other addresses are closed, for anyone can write such a header.
   */
  readonly from: Iterable<string | AddressBlock>
  /** From the connection to the end of the header, ms; then it is closed. See PORTCHECK_LIMITS. */
  readonly proxyHeaderTimeoutMs?: number
  /** Connections whose header has not come; one more closes the oldest. See PORTCHECK_LIMITS. */
  readonly maxProxyHeaders?: number
  /** Called for each connection that is closed, with the reason and the address of its peer. */
  readonly onRejected?: (why: string, address: string) => void
}

/** Reads the header of each connection before anything else. */
export class ProxyFront {
  readonly #from: AddressSet
  readonly #timeoutMs: number
  readonly #maxWaiting: number
  readonly #onRejected: (why: string, address: string) => void
  /** Closes each of those that wait, oldest first. */
  readonly #waiting = new Set<(why: string) => void>()

  /** @throws {ConfigError} for an entry of `from` that is not an address; {RangeError} for a limit. */
  constructor(options: ProxyProtocolOptions) {
    this.#from = new AddressSet(options.from)
    this.#timeoutMs = limitOf('proxyHeaderTimeoutMs', options.proxyHeaderTimeoutMs)
    this.#maxWaiting = limitOf('maxProxyHeaders', options.maxProxyHeaders)
    this.#onRejected = options.onRejected ?? (() => {})
  }

  /**
   * Takes a connection over until its header has come.
   *
   * @param done - gets the client; or the peer, when the load balancer speaks for itself or knows no client.
   *   Undefined: the connection was closed.
   */
  read(socket: Socket, peer: Peer, done: (client: Peer | undefined) => void): void {
    if (!this.#from.hasPlain(peer.address)) {
      this.#onRejected('it does not come from a load balancer', peer.address)
      socket.destroy()
      done(undefined)
      return
    }
    if (this.#waiting.size >= this.#maxWaiting) {
      const [oldest] = this.#waiting
      oldest?.('too many connections without a header, this was the oldest')
    }
    let bytes = Buffer.alloc(0)
    const stop = (): void => {
      clearTimeout(timer)
      this.#waiting.delete(reject)
      socket.off('readable', onReadable)
      socket.off('error', ignore)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
    }
    const reject = (why: string): void => {
      stop()
      this.#onRejected(why, peer.address)
      socket.on('error', ignore)
      socket.destroy()
      done(undefined)
    }
    const onEnd = (): void => reject('it ended before its header was complete')
    const onReadable = (): void => {
      const chunk: unknown = socket.read()
      if (!(chunk instanceof Buffer)) return // 'end' or 'close' follow, or more bytes
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      const header = readProxyHeader(bytes)
      if (header.kind === 'incomplete') return
      if (header.kind === 'invalid') return reject(header.why)
      stop()
      if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
      // Only then the stream knows that nothing listens for `readable` any more, and flows for the next reader.
      process.nextTick(() => done(header.source ?? peer))
    }
    const timer = setTimeout(
      () => reject(`no header within ${this.#timeoutMs} ms`),
      this.#timeoutMs,
    )
    timer.unref() // the listening socket keeps the process alive
    this.#waiting.add(reject)
    socket.on('error', ignore) // 'close' follows and says enough
    socket.once('end', onEnd)
    socket.once('close', onEnd)
    socket.on('readable', onReadable)
  }
}

function ignore(): void {}
