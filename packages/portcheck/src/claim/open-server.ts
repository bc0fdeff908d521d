// The only place that opens a listening socket. With `exclusive` a cluster worker does not get the socket
// of the primary, which would hide a busy port. The host is always an IP address, so Node does no lookup
// and none of its own fallbacks.
import { isIPv6, Server, type Socket } from 'node:net'
import type { Endpoint } from '../endpoint.ts'
import { errnoOf } from './bind-verdict.ts'

/** Options of one socket. */
export interface OpenServerOptions {
  /** Length of the kernel's queue of connections that are not accepted yet. */
  readonly backlog: number
  /** Sets SO_REUSEPORT, see {@link supportsReusePort}. */
  readonly reusePort: boolean
  /** Receives every accepted socket; half-open is allowed. */
  readonly onConnection: (socket: Socket) => void
}

export interface OpenedSocket {
  readonly server: Server
  /** The real address: the port is never 0. */
  readonly endpoint: Endpoint
  /** Whether another process keeps the socket open; see `InheritedSocket`. Default: none does. */
  readonly isShared?: boolean
  /** Ends the use of a socket that is not ours alone; without it the server is closed. */
  readonly release?: () => void
}

/**
 * The kernel's queue for a socket that was opened elsewhere. Node calls `listen()` on it again, which would
 * set the default of 511 also for the other process. The kernel lowers it to net.core.somaxconn, which is
 * what a service manager asks for too.
 */
const INHERITED_BACKLOG = 65_535

/** Opens a listening server. Rejects with Node's error, and then no socket stays open. */
export async function openServer(
  endpoint: Endpoint,
  options: OpenServerOptions,
): Promise<OpenedSocket> {
  // Half-open, because http needs it; emitConnection can switch it off per socket.
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

/**
 * Listens on a socket that another process opened, by its descriptor. Connections are accepted only after
 * the microtasks that follow. Rejects with Node's error; the descriptor may then be closed.
 */
export async function listenOnDescriptor(
  fd: number,
  onConnection?: (socket: Socket) => void,
): Promise<Server> {
  const server = new Server({ allowHalfOpen: true }, onConnection)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.removeListener('error', reject)
      resolve()
    })
    // Node ignores `backlog` beside `fd`; only the argument counts, which the types do not have.
    const listen = server.listen.bind(server) as (options: object, backlog: number) => void
    listen({ fd }, INHERITED_BACKLOG)
  })
  return server
}

function boundEndpoint(server: Server, wanted: Endpoint): Endpoint {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') return wanted
  // The system reports the same for a dual-stack socket and for one with IPv6 only.
  return { host: bound.address, port: bound.port, dual: wanted.dual }
}

/** Tells whether another socket holds `endpoint`, with a trial bind without SO_REUSEPORT. */
export async function isHeld(endpoint: Endpoint): Promise<boolean> {
  try {
    const { server } = await openServer(endpoint, {
      backlog: 1,
      reusePort: false,
      onConnection: (socket) => socket.destroy(),
    })
    server.close()
    return false
  } catch (error) {
    // A missing family or a missing right does not mean that another socket holds it.
    return errnoOf(error) === 'EADDRINUSE'
  }
}

/**
 * Tells whether `reusePort` of `server.listen` has an effect: from Node 22.12 and 23.1 on, and not on
 * macOS and Windows. An older Node ignores the option without an error.
 */
export function supportsReusePort(
  version: string = process.versions.node,
  platform: NodeJS.Platform = process.platform,
): boolean {
  if (platform === 'darwin' || platform === 'win32') return false
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)
}
