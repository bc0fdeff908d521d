import type { Duplex } from 'node:stream'

/** A stream of libp2p's yamux, as far as the tests use it. */
export interface Libp2pStream extends EventTarget {
  readonly status: string
  send(data: Uint8Array): boolean
  close(): Promise<void>
  abort(error: Error): void
  pause(): void
  resume(): void
}

/** A muxer of libp2p's yamux. */
export interface Libp2pMuxer {
  readonly streams: readonly Libp2pStream[]
  readonly status: string
  createStream(): Promise<Libp2pStream>
  close(): Promise<void>
  ping(): Promise<number>
}

/** Makes the yamux of libp2p over `transport`. */
export function libp2pMuxer(
  transport: Duplex,
  role: 'client' | 'server',
  onStream?: (stream: Libp2pStream) => void,
): Libp2pMuxer
