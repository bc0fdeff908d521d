// A claim is a port with a listening socket. A bind alone reserves nothing on Linux (two bound sockets
// with SO_REUSEADDR can exist until one listens), and a port that was free during a check can be busy
// when it is used. So the claim listens at once, lets early clients wait, and later gives socket and
// clients to a server.
//
// A `net.Server` that adopts the claim gets the listening handle itself, so `address()`, `close()` and
// the `listening` event of that server work as usual. The server first gets the clients that the claim
// has accepted.
import { type Server, type Socket } from 'node:net'
import { inspect as formatValue } from 'node:util'
import { canCloseEmpty, closeEmpty } from './close-empty.ts'
import { EarlyConnections } from './early-connections.ts'
import { type Endpoint, formatEndpoint } from '../endpoint.ts'
import { PortcheckError } from '../errors.ts'
import { limitOf } from '../limits.ts'
import { errnoOf } from './bind-verdict.ts'
import type { InheritedSocket, TakenSocket } from './inherited-sockets.ts'
import type { OpenedPlan } from './open-plan.ts'
import type { OpenedSocket } from './open-server.ts'
import { inTurn, openUndisturbed } from './open-undisturbed.ts'
import type { Plan } from './plan.ts'
import { sharedPortWarnings } from '../probe/shared-port.ts'
import type { Warning } from '../warnings.ts'

/** Limits of a claim. Defaults and ranges are in PORTCHECK_LIMITS. */
export interface ClaimOptions {
  /** Length of the kernel's queue of connections that are not accepted yet, per socket. The kernel can lower it. */
  readonly backlog?: number
  /** Most clients that wait for a server to adopt the claim; further ones are disconnected. */
  readonly maxEarlyConnections?: number
  /** How long such a client waits before it is disconnected, ms. */
  readonly earlyTimeoutMs?: number
}

/** A socket of a claim, as another process can take it over. */
type ClaimedSocket = Omit<InheritedSocket, 'name' | 'want'>

/** Opens every socket of a plan and listens; on failure no socket stays open. */
export async function claimPlan(plan: Plan, options: ClaimOptions = {}): Promise<Claim> {
  const { backlog, ...limits } = resolveClaimOptions(options)
  const early = new EarlyConnections(limits)
  const receiver = new ConnectionReceiver((socket) => early.add(socket))
  const onConnection = (socket: Socket): void => receiver.accept(socket)
  return await inTurn(plan, async () => {
    const opened = await openUndisturbed(plan, { backlog, onConnection }, false)
    const shared = await sharedPortWarnings(plan, opened)
    return new Claim({ ...opened, warnings: [...opened.warnings, ...shared] }, early, receiver)
  })
}

/**
 * Listens on a socket that another process opened.
 *
 * @throws {PortcheckError} PORTCHECK_BIND_FAILED when its descriptor cannot be listened on.
 */
export async function claimInherited(
  { lent, endpoint }: TakenSocket,
  options: ClaimOptions = {},
): Promise<Claim> {
  const { backlog: _, ...limits } = resolveClaimOptions(options)
  const early = new EarlyConnections(limits)
  const receiver = new ConnectionReceiver((socket) => early.add(socket))
  try {
    const opened = await lent.open(endpoint, (socket) => receiver.accept(socket))
    return new Claim({ sockets: [opened], warnings: [] }, early, receiver)
  } catch (cause) {
    const errno = errnoOf(cause)
    const { host: address, port } = endpoint
    const where = `${formatEndpoint(endpoint)} (inherited descriptor ${lent.socket.fd})`
    throw new PortcheckError('PORTCHECK_BIND_FAILED', `cannot listen on ${where}: ${errno}`, {
      errno,
      address,
      port,
      cause,
    })
  }
}

/** A port that is held until a server adopts it or it is closed. */
export class Claim {
  /** The sockets that listen, as the system reports them. */
  readonly endpoints: readonly Endpoint[]
  /** The port; the real one when 0 was given. */
  readonly port: number
  /** Differences from the given address, such as a missing family, and other programs on the port. */
  readonly warnings: readonly Warning[]
  /** Resolves when the claim has ended: by {@link close}, {@link destroy} or the close of its server. */
  readonly closed: Promise<void>

  /** `inherited`: the sockets were opened by another process. */
  readonly origin: 'bound' | 'inherited'

  readonly #sockets: readonly OpenedSocket[]
  readonly #early: EarlyConnections
  readonly #receiver: ConnectionReceiver
  #state: 'held' | 'served' | 'closed' = 'held'
  #adopter: Server | undefined
  #failedAccepts = 0
  #resolveClosed: () => void = () => {}

  /** @internal */
  constructor(opened: OpenedPlan, early: EarlyConnections, receiver: ConnectionReceiver) {
    this.#sockets = opened.sockets
    this.origin = opened.sockets.some(({ release }) => release !== undefined)
      ? 'inherited'
      : 'bound'
    this.#early = early
    this.#receiver = receiver
    this.endpoints = opened.sockets.map((socket) => socket.endpoint)
    this.port = this.endpoints[0]?.port ?? 0
    this.warnings = opened.warnings
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    // A failed accept (limit of file descriptors) must not end the process; Node continues to accept.
    for (const { server } of this.#sockets) {
      server.on('error', () => {
        this.#failedAccepts += 1
      })
    }
  }

  /** Number of early clients that wait for a server. */
  get waiting(): number {
    return this.#early.size
  }

  /** Number of connections that could not be accepted, for lack of file descriptors or memory. */
  get failedAccepts(): number {
    return this.#failedAccepts
  }

  /**
   * Gives the port to `server` (net, http, https, http2), early clients first. The server then listens
   * as after its own `listen`; `server.close()` frees the port at once, on all sockets of the claim.
   * @throws {PortcheckError} PORTCHECK_CLAIM_CLOSED when the claim is closed or already served.
   */
  adopt(server: Server): void {
    if (server.listening) throw new TypeError('server must not be listening already')
    this.#serveBy((socket) => {
      // A client of another socket, which was accepted before the server was closed.
      if (server.listening) emitConnection(server, socket)
      else socket.destroy()
    })
    this.#adopter = server
    // http servers watch for slow clients from `listening` on, so clients are passed on only then.
    server.once('listening', () => this.#early.drain((socket) => emitConnection(server, socket)))
    server.once('close', () => this.destroy())
    // `close` is emitted when the last connection has ended, but the port is free from the call on.
    const close = server.close.bind(server)
    server.close = (closed) => {
      close(closed)
      this.destroy()
      return server
    }
    server.listen(this.#sockets[0]?.server)
  }

  /**
   * Gives every client to `receive`, early ones first, until the claim is closed.
   * @throws {PortcheckError} PORTCHECK_CLAIM_CLOSED when the claim is closed or already served.
   */
  serve(receive: (socket: Socket) => void): void {
    this.#serveBy(receive)
    this.#early.drain(receive)
  }

  /**
   * Returns the file descriptor of one listening socket for a child process, which uses it with
   * `server.listen({ fd })`. Undefined on Windows, which has none.
   */
  fd(index = 0): number | undefined {
    this.#assertNotClosed()
    const server = this.#sockets[index]?.server
    if (server === undefined) {
      throw new RangeError(`index must be below ${this.#sockets.length}, got ${formatValue(index)}`)
    }
    const fd = handleFd(server)
    return fd !== undefined && fd >= 0 ? fd : undefined
  }

  /**
   * Its sockets, for a process that takes them over.
   *
   * @internal
   */
  descriptors(): ClaimedSocket[] {
    return this.openSockets().map(({ socket }) => socket)
  }

  /**
   * Its sockets, each with the server that listens on it.
   *
   * @internal
   */
  openSockets(): { readonly socket: ClaimedSocket; readonly server: Server }[] {
    if (this.#state === 'closed') return []
    return this.#sockets.flatMap(({ server, endpoint, isShared = false }) => {
      const fd = handleFd(server)
      const { host, port } = endpoint
      return fd === undefined || fd < 0 ? [] : [{ socket: { fd, host, port, isShared }, server }]
    })
  }

  /** Whether another process keeps all its sockets open. @internal */
  get isShared(): boolean {
    return this.#sockets.every(({ isShared = false }) => isShared)
  }

  /** The server that adopted the claim. @internal */
  get adopter(): Server | undefined {
    return this.#adopter
  }

  /**
   * Calls `inspect` for every connection until the returned function is called; used by `verify`. Has
   * no effect after {@link adopt}, because the server accepts its connections itself.
   * @internal
   */
  inspect(inspect: Inspect): () => void {
    this.#assertNotClosed()
    return this.#receiver.inspect(inspect)
  }

  /** Frees the port and disconnects early clients; connections of a server continue. */
  async close(): Promise<void> {
    this.destroy()
    await this.closed
  }

  /** The same as {@link close}, without a promise. */
  destroy(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#early.destroy()
    // The first handle belongs to the adopter; it must be closed there.
    if (this.#adopter?.listening === true) this.#adopter.close()
    const own = this.#adopter === undefined ? this.#sockets : this.#sockets.slice(1)
    for (const socket of own) closeSocket(socket)
    this.#resolveClosed()
  }

  /**
   * Closes those of its sockets whose queue is empty, see `closeEmpty`; a socket that another process has too
   * needs nothing. `destroy` comes afterwards.
   *
   * @returns 'closed' when no other socket is left; 'never' when one cannot be closed this way.
   * @internal
   */
  async closeEmptySockets(): Promise<'closed' | 'later' | 'never'> {
    let isLater = false
    for (const socket of this.#sockets) {
      const { server, endpoint, isShared = false } = socket
      if (isShared || !server.listening) continue
      if (!canCloseEmpty(server)) return 'never'
      isLater = !(await closeEmpty(server, endpoint, () => closeSocket(socket))) || isLater
    }
    return isLater ? 'later' : 'closed'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #serveBy(receive: (socket: Socket) => void): void {
    this.#assertNotClosed()
    if (this.#state === 'served') {
      throw new PortcheckError('PORTCHECK_CLAIM_CLOSED', `port ${this.port} is already served`)
    }
    this.#state = 'served'
    this.#receiver.redirect(receive)
  }

  #assertNotClosed(): void {
    if (this.#state !== 'closed') return
    throw new PortcheckError('PORTCHECK_CLAIM_CLOSED', `claim of port ${this.port} is closed`)
  }
}

function closeSocket({ server, release }: OpenedSocket): void {
  if (release === undefined) server.close()
  else release()
}

/** Returns the file descriptor of a server. Node has no public way; undefined if the private one changes. */
export function handleFd(server: Server): number | undefined {
  const handle: unknown = '_handle' in server ? server._handle : undefined
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined
  return typeof handle.fd === 'number' ? handle.fd : undefined
}

function resolveClaimOptions(options: ClaimOptions): Required<ClaimOptions> {
  return {
    backlog: limitOf('backlog', options.backlog),
    maxEarlyConnections: limitOf('maxEarlyConnections', options.maxEarlyConnections),
    earlyTimeoutMs: limitOf('earlyTimeoutMs', options.earlyTimeoutMs),
  }
}

/** Examines a connection; passes it on, now or later, or closes it. */
export type Inspect = (socket: Socket, pass: () => void) => void

/**
 * Receives the connections of a claim's sockets: first for the queue of early clients, later for the
 * server. During `verify` each connection is examined first.
 */
class ConnectionReceiver {
  #receive: (socket: Socket) => void
  #inspect: Inspect | undefined

  constructor(receive: (socket: Socket) => void) {
    this.#receive = receive
  }

  /** Receives an accepted connection. */
  accept(socket: Socket): void {
    if (this.#inspect === undefined) this.#receive(socket)
    else this.#inspect(socket, () => this.#receive(socket))
  }

  /** Gives all further connections to another function. */
  redirect(receive: (socket: Socket) => void): void {
    this.#receive = receive
  }

  /** Examines every connection until the returned function is called. */
  inspect(inspect: Inspect): () => void {
    this.#inspect = inspect
    return () => {
      this.#inspect = undefined
    }
  }
}

/**
 * Gives a server a connection that it did not accept itself. The socket gets the options that the server
 * would have set; a claim accepts sockets half-open, because it does not know its server yet.
 */
export function emitConnection(server: Server, socket: Socket): void {
  socket.allowHalfOpen = isSet(server, 'allowHalfOpen')
  if (isSet(server, 'noDelay')) socket.setNoDelay(true)
  if (isSet(server, 'keepAlive')) socket.setKeepAlive(true)
  server.emit('connection', socket)
}

/** Servers have these options as properties that are not in the type declarations. */
function isSet(server: Server, option: 'allowHalfOpen' | 'noDelay' | 'keepAlive'): boolean {
  return option in server && Reflect.get(server, option) === true
}
