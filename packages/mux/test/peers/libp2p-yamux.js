// @ts-check
// The yamux of libp2p over a Duplex: the peer of the interop tests and of the benchmark, a
// multiplexer we did not write. It wants a "multiaddr connection"; this is the least of one.
import { yamux } from '@chainsafe/libp2p-yamux'

/** @typedef {import('node:stream').Duplex} Duplex */
/**
 * A stream of libp2p's yamux, as far as it is used here.
 *
 * @typedef {EventTarget & {
 *   readonly status: string,
 *   send(data: Uint8Array): boolean,
 *   close(): Promise<void>,
 *   abort(error: Error): void,
 * }} Libp2pStream
 */
/**
 * A muxer of libp2p's yamux, as far as it is used here.
 *
 * @typedef {{
 *   readonly streams: readonly Libp2pStream[],
 *   readonly status: string,
 *   createStream(): Promise<Libp2pStream>,
 *   close(): Promise<void>,
 *   ping(): Promise<number>,
 * }} Libp2pMuxer
 */

class Connection extends EventTarget {
  log = silentLog()

  /**
   * @param {Duplex} transport
   * @param {'client' | 'server'} role
   */
  constructor(transport, role) {
    super()
    this.transport = transport
    this.direction = role === 'client' ? 'outbound' : 'inbound'
    transport.on('data', (data) =>
      this.dispatchEvent(Object.assign(new Event('message'), { data })),
    )
    transport.on('drain', () => this.dispatchEvent(new Event('drain')))
    transport.on('close', () => this.dispatchEvent(new Event('close')))
    transport.on('error', () => {})
  }

  /** @param {Uint8Array | Iterable<Uint8Array>} data */
  send(data) {
    if (data instanceof Uint8Array) return this.transport.write(data)
    let room = true
    this.transport.cork()
    for (const piece of data) room = this.transport.write(piece)
    this.transport.uncork()
    return room
  }

  abort() {
    this.transport.destroy()
  }
}

/**
 * @param {Duplex} transport
 * @param {'client' | 'server'} role
 * @param {(stream: Libp2pStream) => void} [onStream]
 * @returns {Libp2pMuxer}
 */
export function libp2pMuxer(transport, role, onStream = () => {}) {
  const muxer = yamux({ enableKeepAlive: false })().createStreamMuxer(
    /** @type {any} */ (new Connection(transport, role)),
  )
  muxer.addEventListener('stream', (event) => onStream(/** @type {any} */ (event).detail))
  return muxer
}

function silentLog() {
  const log = () => {}
  return Object.assign(log, { trace: log, error: log, enabled: false, newScope: silentLog })
}
