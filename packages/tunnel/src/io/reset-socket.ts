import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

import { carrierOf } from './tls-carrier.ts'

/**
 * Destroys a socket so that its peer sees a reset, where the transport has one.
 *
 * Below TLS it is the TCP connection that is reset: closed without a word of TLS, many peers, Node and
 * browsers among them, would take the end for a clean one.
 *
 * While the end of a socket is just being sent, libuv refuses to reset it (EINVAL), after which Node
 * neither closes the descriptor nor emits 'close': it is lost for good. Such a socket has said all it
 * had to say, so it is simply closed. One that still has bytes to send before its end is reset.
 */
export function resetSocket(socket: Duplex): void {
  if (socket.destroyed) return
  const isEnding = socket.writableEnded && !socket.writableFinished && socket.writableLength === 0
  if (isEnding) socket.destroy()
  else if (socket instanceof TLSSocket) resetBelow(socket)
  else if (socket instanceof Socket && speaksTcp(socket)) socket.resetAndDestroy()
  else socket.destroy()
}

/**
 * TLS has to be taken down before the connection below it, or the process ends with a segmentation
 * fault. So TLS is destroyed as ever, and when it comes to destroy what is below, that is reset.
 */
function resetBelow(socket: TLSSocket): void {
  const carrier = carrierOf(socket)
  if (carrier !== undefined && speaksTcp(carrier) && !carrier.destroyed) {
    carrier.destroy = () => {
      Reflect.deleteProperty(carrier, 'destroy')
      return carrier.resetAndDestroy()
    }
  }
  socket.destroy()
}

/** Only an established TCP socket can send RST; anything else can only be torn down. */
function speaksTcp(socket: Socket): boolean {
  return socket.remoteFamily !== undefined
}
