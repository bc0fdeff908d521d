// A server on a port the kernel picks. Tests never choose ports: they listen on port 0 and read
// the port back. Disposing ends the server and every connection it still has, so that a test that
// failed half-way leaves nothing behind.
import { once } from 'node:events'
import type { Server, Socket } from 'node:net'

/** A server that listens, and where. */
export interface Listening {
  /** The address it is bound to. */
  readonly host: string
  /** The port the kernel gave. */
  readonly port: number
  /** `host:port`, an IPv6 address in brackets. */
  readonly authority: string
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>
  /** Stops listening, ends every connection, and waits until the port is free. */
  close(): Promise<void>
  /** Same as `close`. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Makes a `net`, `tls`, `http` or `https` server listen on port 0 of `host`. */
export async function listening(server: Server, host = '127.0.0.1'): Promise<Listening> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}) // the peer of a failing test may reset; that is not the failure
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen({ host, port: 0 })
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not a TCP server')
  const close = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return {
    host: address.address,
    port: address.port,
    authority: `${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    sockets,
    close,
    [Symbol.asyncDispose]: close,
  }
}
