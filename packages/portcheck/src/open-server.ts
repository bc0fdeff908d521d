// The one place that opens a listening socket. `exclusive` keeps a cluster worker from being handed
// the primary's socket, which would hide a conflict. The host is always an IP literal, so Node does
// no name look-up and none of its own fallbacks apply.
import { isIPv6, Server, type Socket } from 'node:net'

import type { Endpoint } from './endpoint.ts'

/** How to open one socket. */
export interface OpenServerOptions {
  /** Length of the kernel's queue of connections not yet accepted. */
  readonly backlog: number
  /** Sets SO_REUSEPORT where this Node supports it. */
  readonly reusePort: boolean
  /** Receives every accepted socket; it is half-open capable. */
  readonly onConnection: (socket: Socket) => void
}

/** A listening socket. */
export interface OpenedSocket {
  readonly server: Server
  /** Where it really listens: the port is never 0. */
  readonly endpoint: Endpoint
}

/** Opens a listening server; rejects with Node's error, leaving nothing open. */
export async function openServer(
  endpoint: Endpoint,
  options: OpenServerOptions,
): Promise<OpenedSocket> {
  // Half-open until somebody adopts the socket: http needs it, and it can be turned off per socket.
  const server = new Server({ allowHalfOpen: true }, options.onConnection)
  return await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(
      {
        host: endpoint.host,
        port: endpoint.port,
        exclusive: true,
        backlog: options.backlog,
        ...(isIPv6(endpoint.host) ? { ipv6Only: !endpoint.dual } : {}),
        ...(options.reusePort ? { reusePort: true } : {}),
      },
      () => {
        server.removeListener('error', reject)
        resolve({ server, endpoint: boundEndpoint(server, endpoint) })
      },
    )
  })
}

function boundEndpoint(server: Server, wanted: Endpoint): Endpoint {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return wanted
  // The system reports a dual-stack socket and an IPv6-only one alike.
  return { host: bound.address, port: bound.port, dual: wanted.dual }
}
