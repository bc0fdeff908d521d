import type { Duplex } from 'node:stream'
import { resetSocket } from '../io/reset-socket.ts'
import { isWebSocketPipeError } from './errors.ts'

/** After a violation: how long the peer may take to read the Close frame and to go. */
const LINGER_MS = 2_000

/** Lets go of a socket that has not closed yet, in the way that tells the peer most about `error`. */
export function releaseSocket(socket: Duplex, error: Error | null): void {
  socket.on('error', ignore) // One may be on its way already.
  socket.once('close', () => socket.off('error', ignore))
  if (socket.destroyed) return
  if (isWebSocketPipeError(error) && error.closeCode !== undefined) {
    linger(socket)
  } else if (isWebSocketPipeError(error, 'WEBSOCKET_PEER_SILENT')) {
    // A peer that wakes up must not take this for a clean end: Piko's agents would then exit.
    resetSocket(socket)
  } else {
    socket.destroy()
  }
}

/**
 * Closing with received bytes unread resets the connection, and a reset may overtake the Close
 * frame. So what still comes is read and dropped until the peer has gone or the time is up.
 */
function linger(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  timer.unref() // Ending the process ends the socket just as well.
  socket.once('close', () => clearTimeout(timer))
  socket.end()
  socket.resume()
}

function ignore(): void {}
