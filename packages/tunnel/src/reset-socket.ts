import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

/**
 * Destroys a socket so that its peer sees a reset, where the transport has one.
 *
 * While the end of a socket is just being sent, libuv refuses to reset it (EINVAL), after which Node
 * neither closes the descriptor nor emits 'close': it is lost for good. Such a socket has said all it
 * had to say, so it is simply closed.
 */
export function resetSocket(socket: Duplex): void {
  if (socket.destroyed) return
  // Only an established TCP socket can send RST; anything else can only be torn down.
  const speaksTcp =
    socket instanceof Socket && !(socket instanceof TLSSocket) && socket.remoteFamily !== undefined
  const isEnding = socket.writableEnded && !socket.writableFinished
  if (speaksTcp && !isEnding) socket.resetAndDestroy()
  else socket.destroy()
}
