import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

import { tcpSocketOf } from './tcp-socket-of.ts'

/**
 * Bytes that the kernel has taken from a socket since it was opened, below TLS where there is TLS. `bytesWritten`
 * counts what was handed to libuv, and `writableLength` shrinks by whole writes, which may be as large as all
 * that waits: a slow reader would seem to take nothing for minutes.
 *
 * Node keeps the numbers at a private property, the same from 20 to 26; without it whole writes are counted.
 */
export function takenBytes(socket: Socket): number {
  const below = socket instanceof TLSSocket ? tcpSocketOf(socket) : socket
  const handle: unknown = below === undefined ? undefined : Reflect.get(below, '_handle')
  if (typeof handle === 'object' && handle !== null) {
    const written: unknown = Reflect.get(handle, 'bytesWritten')
    const queued: unknown = Reflect.get(handle, 'writeQueueSize')
    if (typeof written === 'number' && typeof queued === 'number') return written - queued
  }
  return socket.bytesWritten - socket.writableLength
}
