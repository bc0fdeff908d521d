import type { Duplex } from 'node:stream'

/** Time a peer has to read our last bytes, before the connection or stream is closed or reset, ms. */
export const LAST_BYTES_MS = 2_000

/**
 * Ends a socket so that its last bytes arrive. Closing with received bytes unread resets the connection,
 * and a reset may overtake what was sent last; so what still comes is read and dropped until the peer
 * has closed, or for LAST_BYTES_MS.
 */
export function lingerSocket(socket: Duplex, last?: string | Buffer): void {
  const timer = setTimeout(() => socket.destroy(), LAST_BYTES_MS)
  timer.unref() // ending the process ends the socket just as well
  socket.once('close', () => clearTimeout(timer))
  if (last === undefined) socket.end()
  else socket.end(last)
  socket.resume()
}
