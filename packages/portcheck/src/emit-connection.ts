// Giving a server a connection that it did not accept itself. The socket gets the options that the
// server would have accepted it with; ours are accepted half-open, since nobody knows yet by whom.
import type { Server, Socket } from 'node:net'

/** Hands an accepted socket to a server. */
export function emitConnection(server: Server, socket: Socket): void {
  socket.allowHalfOpen = isSet(server, 'allowHalfOpen')
  if (isSet(server, 'noDelay')) socket.setNoDelay(true)
  if (isSet(server, 'keepAlive')) socket.setKeepAlive(true)
  server.emit('connection', socket)
}

/** Servers carry these options as properties that the type declarations leave out. */
function isSet(server: Server, option: 'allowHalfOpen' | 'noDelay' | 'keepAlive'): boolean {
  return option in server && Reflect.get(server, option) === true
}
