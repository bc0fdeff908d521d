import { readSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'

import { tcpSocketOf } from './tcp-socket-of.ts'

/**
 * Tells an end that the peer meant from a connection that broke, where Node emits 'end' for both:
 *
 * - A reset that comes together with the last bytes. libuv up to 1.48 (Node 20) takes the hang-up that
 *   the system reports for the end of the stream and reads no further. The error still waits in the
 *   system, where one more read finds it. That `getpeername` fails tells nothing: it also fails when our
 *   FIN was first, and when the peer closed behind its own FIN.
 * - A TLS connection whose TCP connection ends without close_notify (RFC 8446 section 6.1). The attacker
 *   who can send a FIN could cut any transfer short. Node does not say which it was. But libuv stops
 *   reading a connection that has ended before it says so, while close_notify is found by TLS in bytes
 *   of a connection that is still being read.
 *
 * Nothing here is a documented interface of Node, save `readSync`; where a part is missing, every end
 * passes for a clean one. A test looks at the running Node.
 */

/** TLS sockets that ended without close_notify. */
const truncated = new WeakSet<Duplex>()

const nowhere = Buffer.alloc(1)

/** libuv's answer when it is asked to read what it is reading: UV_EALREADY. */
const isBeingRead = (answer: unknown): boolean => typeof answer === 'number' && answer < 0

interface ReadHandle {
  readStart(): number
  readStop(): number
}

/** Has to be called before a socket can end whose end `isCleanEnd` will be asked for. */
export function watchEnd(socket: Duplex): void {
  if (!(socket instanceof TLSSocket)) return
  const tcpSocket = tcpSocketOf(socket)
  // TLS within TLS is carried by JavaScript, which has no reading state to ask for.
  if (tcpSocket === undefined || tcpSocket instanceof TLSSocket) return
  const push = socket.push.bind(socket)
  socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (chunk === null && endedBelow(socket, tcpSocket)) truncated.add(socket)
    return push(chunk, encoding)
  }
}

/** To be called within the 'end' event: whether the peer ended its side, and the connection did not break. */
export function isCleanEnd(socket: Duplex): boolean {
  if (socket instanceof TLSSocket) return !truncated.has(socket)
  if (!(socket instanceof Socket)) return true
  const descriptor: unknown = Reflect.get(handleOf(socket) ?? {}, 'fd')
  // Windows has no descriptors here; its libuv reports resets as what they are.
  if (typeof descriptor !== 'number' || descriptor < 0) return true
  try {
    return readSync(descriptor, nowhere, 0, 1, null) === 0
  } catch (error) {
    // Nothing to read and no end: the stream was ended by other means than its connection.
    return error instanceof Error && 'code' in error && error.code === 'EAGAIN'
  }
}

/** Asked while the end arrives: whether it came from the TCP connection, and not from TLS. */
function endedBelow(socket: TLSSocket, tcpSocket: Socket): boolean {
  // A reader that is full has stopped the reading itself, in the middle of what TLS had to say.
  if (Reflect.get(handleOf(socket) ?? {}, 'reading') !== true) return false
  const handle = handleOf(tcpSocket)
  if (!isReadHandle(handle) || isBeingRead(handle.readStart())) return false
  handle.readStop()
  return true
}

function handleOf(socket: Socket): object | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  return typeof handle === 'object' && handle !== null ? handle : undefined
}

function isReadHandle(handle: object | undefined): handle is ReadHandle {
  return handle !== undefined && 'readStart' in handle && 'readStop' in handle
}
