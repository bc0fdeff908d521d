// The close of a listening socket resets the connections that wait in its queue, and between a look at the
// queue and the close more can come: the look alone takes milliseconds on a machine with much memory. On Linux
// the queue can be kept shut meanwhile. With a backlog of 0 it holds one connection, and the kernel drops the
// SYN of the next one, which its client repeats a second later: then the port is closed, and a load balancer
// tries the next server. The one place is taken by a connection of our own, which says by its success that
// no other one waits.
import { connect, type Server, type Socket } from 'node:net'

import type { Endpoint } from '../endpoint.ts'

/** Parts of Node that have no public name; a test looks at those of the running one. */
interface ListeningHandle {
  /** Calls listen(2), also on a socket that listens already. */
  listen(backlog: number): number
}
interface ConnectingHandle {
  /** Calls getpeername(2), which fails until the connection is established. */
  getpeername(address: object): number
}

/** Whether `closeEmpty` can close this server at all. */
export function canCloseEmpty(server: Server): boolean {
  return process.platform === 'linux' && listeningHandle(server) !== undefined
}

/**
 * Closes a listening socket if nothing waits in its queue. If something does, the caller accepts it in a turn
 * of the event loop and tries again. The socket must not be that of another process too, for its backlog is 0
 * from now on.
 *
 * @param close - closes it before it returns.
 * @returns whether it was closed.
 */
export async function closeEmpty(
  server: Server,
  { host, port }: Endpoint,
  close: () => void,
): Promise<boolean> {
  if (!canCloseEmpty(server) || listeningHandle(server)?.listen(0) !== 0) return false
  const own = connect({ host: reachable(host), port }).on('error', () => {})
  // Node connects in the next tick, and over loopback the kernel is then done. The event loop, which would
  // accept this connection, does not run in between.
  await new Promise<void>((resolve) => process.nextTick(resolve))
  const isInQueue = connectingHandle(own)?.getpeername({}) === 0
  if (isInQueue) close()
  own.destroy()
  return isInQueue
}

/** An address of this machine under which a socket is reached. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}

function listeningHandle(server: Server): ListeningHandle | undefined {
  const handle: unknown = Reflect.get(server, '_handle')
  const isUsable =
    typeof handle === 'object' &&
    handle !== null &&
    'listen' in handle &&
    typeof handle.listen === 'function'
  return isUsable ? (handle as ListeningHandle) : undefined // checked just above
}

function connectingHandle(socket: Socket): ConnectingHandle | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  const isUsable =
    typeof handle === 'object' &&
    handle !== null &&
    'getpeername' in handle &&
    typeof handle.getpeername === 'function'
  return isUsable ? (handle as ConnectingHandle) : undefined // checked just above
}
