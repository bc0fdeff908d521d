import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

import { tcpSocketOf } from './tcp-socket-of.ts'

/**
 * Destroys a socket so that its peer sees a reset, where the transport has one.
 *
 * Below TLS the TCP connection is reset: when it only closes, without a TLS alert, many peers, Node and
 * browsers among them, take the end for a clean one.
 *
 * While the end of a socket is just being sent, libuv refuses to reset it (EINVAL), after which Node
 * neither closes the descriptor nor emits 'close': the descriptor leaks. Such a socket has sent all its
 * bytes, so it is simply closed. One that still has bytes to send before its end is reset.
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
 * fault. So the TLS socket is destroyed as usual, and when it destroys the socket below, that is reset.
 */
function resetBelow(socket: TLSSocket): void {
  const tcpSocket = tcpSocketOf(socket)
  if (tcpSocket !== undefined && speaksTcp(tcpSocket) && !tcpSocket.destroyed) {
    tcpSocket.destroy = () => {
      Reflect.deleteProperty(tcpSocket, 'destroy')
      return tcpSocket.resetAndDestroy()
    }
  }
  socket.destroy()
}

/** Only an established TCP socket can send RST; anything else can only be torn down. */
function speaksTcp(socket: Socket): boolean {
  return socket.remoteFamily !== undefined
}
