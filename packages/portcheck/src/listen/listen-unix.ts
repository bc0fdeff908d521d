// Listening on a unix socket. The path is a file that stays after a crash and would block the next start,
// so a file without a listener is removed. A file that is in use is never removed.
//
// A process that closes a socket removes the file at the path of its bind (libuv), also when another process
// listens on the same socket. So the bind has a name of its own, the path is a link to it, and this module
// removes the link.
import { randomBytes } from 'node:crypto'
import { chmodSync, closeSync, linkSync, lstatSync, type Stats, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { inspect } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { errnoOf } from '../claim/bind-verdict.ts'
import { handleFd } from '../claim/claim.ts'
import { listenOnDescriptor } from '../claim/open-server.ts'
import { isPortcheckError, PortcheckError, type PortcheckErrorCode } from '../errors.ts'
import { limitOf } from '../limits.ts'
import { boundNameOf, findUnixHolder } from '../holders/linux-unix-socket.ts'

/** Options of a unix socket. */
export interface ListenUnixOptions {
  /** Permissions of the file: who can connect. 0 to 0o777. @default 0o600 */
  readonly mode?: number
  /** Length of the kernel's queue of connections that are not accepted yet; see PORTCHECK_LIMITS. */
  readonly backlog?: number
  /** Receives every connection; half-open is allowed. */
  readonly onConnection: (socket: Socket) => void
}

/** A unix socket that another process listens on, as this process got it. */
export interface InheritedUnixSocket {
  /** Its file descriptor in this process, 3 or more. */
  readonly fd: number
  /** Path of its file. */
  readonly path: string
  /** Number of its file: another file may have the path now. */
  readonly ino: number
}

/** Longest path that a bind takes, bytes: `sun_path` of unix(7), without the zero at its end. */
const MAX_PATH_BYTES = 107

/** The file system has no links, or the system does not allow one to a socket. */
const UNLINKABLE: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
])

/** Only the owner can connect until the permissions of the file are set. */
const STRICT_UMASK = 0o177

const CODES: ReadonlyMap<string, PortcheckErrorCode> = new Map([
  ['EADDRINUSE', 'PORTCHECK_PORT_BUSY'],
  ['EACCES', 'PORTCHECK_PORT_DENIED'],
  ['EPERM', 'PORTCHECK_PORT_DENIED'],
  ['EROFS', 'PORTCHECK_PORT_DENIED'],
  ['ENOENT', 'PORTCHECK_ADDRESS_ABSENT'],
  ['ENOTDIR', 'PORTCHECK_ADDRESS_ABSENT'],
  ['ENAMETOOLONG', 'PORTCHECK_ADDRESS_INVALID'],
  ['EINVAL', 'PORTCHECK_ADDRESS_INVALID'],
])

/**
 * Listens on a unix socket.
 * @throws {PortcheckError} PORTCHECK_PORT_BUSY when another program listens or the file is not a socket,
 *   PORTCHECK_PORT_DENIED, PORTCHECK_ADDRESS_ABSENT when the folder does not exist.
 */
export async function listenUnix(path: string, options: ListenUnixOptions): Promise<UnixListener> {
  const { mode = 0o600 } = options
  const backlog = limitOf('backlog', options.backlog)
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
    throw new RangeError(`mode must be an integer from 0 to 0o777, got ${inspect(mode)}`)
  }
  try {
    return await open(path, mode, backlog, options.onConnection)
  } catch (error) {
    if (!isPortcheckError(error, 'PORTCHECK_PORT_BUSY')) throw error
    const found = statOf(path)
    if (found !== undefined && !found.isSocket()) {
      throw listenError(path, 'EADDRINUSE', 'there is a file that is not a socket', error.cause)
    }
    if (found === undefined || (await isAbandoned(path))) {
      removeUnchanged(path, found)
      return await open(path, mode, backlog, options.onConnection)
    }
    const holder = await findUnixHolder(path)
    if (holder === undefined) throw error
    throw listenError(path, 'EADDRINUSE', `EADDRINUSE, held by ${holder}`, error.cause, holder)
  }
}

/**
 * Listens on a unix socket that another process has opened; its file stays when the listener closes, until
 * `keepsFile` is set to false. Returns undefined, with the descriptor closed, when the path leads to
 * another file now.
 *
 * @throws {PortcheckError} PORTCHECK_BIND_FAILED when the descriptor cannot be listened on.
 */
export async function listenInheritedUnix(
  { fd, path, ino }: InheritedUnixSocket,
  onConnection: (socket: Socket) => void,
): Promise<UnixListener | undefined> {
  if (statOf(path)?.ino !== ino) {
    closeSync(fd)
    return undefined
  }
  try {
    // It accepts only after the microtasks: the listener has its handler by then.
    const server = await listenOnDescriptor(fd)
    const listener = new UnixListener(server, path, onConnection, ino)
    listener.keepsFile = true
    return listener
  } catch (cause) {
    throw listenError(path, errnoOf(cause), `${errnoOf(cause)} (inherited descriptor ${fd})`, cause)
  }
}

/**
 * Closes a unix socket that another process has opened, and that this process does not use; removes its
 * file, unless the path leads to another one.
 */
export function removeInheritedUnix({ fd, path, ino }: InheritedUnixSocket): void {
  removeOwn(path, ino)
  closeSync(fd)
}

async function open(
  path: string,
  mode: number,
  backlog: number,
  onConnection: (socket: Socket) => void,
): Promise<UnixListener> {
  const name = process.platform === 'linux' ? boundNameOf(path, randomBytes(3)) : path
  if (name !== path && Buffer.byteLength(name) <= MAX_PATH_BYTES) {
    const linked = await openAs(name, path, mode, backlog, onConnection)
    if (linked !== undefined) return linked
  }
  return (await openAs(path, path, mode, backlog, onConnection)) as UnixListener
}

/** @returns undefined when no link can be made from the path to the name of the bind. */
async function openAs(
  name: string,
  path: string,
  mode: number,
  backlog: number,
  onConnection: (socket: Socket) => void,
): Promise<UnixListener | undefined> {
  const server = createServer({ allowHalfOpen: true })
  let ino: number | undefined
  try {
    await bind(server, name, backlog)
    if (process.platform !== 'win32') chmodSync(name, mode) // a named pipe has no mode
    if (name !== path) {
      linkSync(name, path) // EEXIST when there is a file
      ino = lstatSync(name).ino
      unlinkSync(name)
    }
  } catch (cause) {
    server.close()
    const errno = errnoOf(cause)
    if (name !== path && UNLINKABLE.has(errno)) return undefined
    // libuv reports EACCES for a missing folder.
    const missing = errno === 'EACCES' && statOf(dirname(path)) === undefined
    const shown = missing ? 'ENOENT' : errno === 'EEXIST' ? 'EADDRINUSE' : errno
    throw listenError(path, shown, shown, cause)
  }
  return new UnixListener(server, path, onConnection, ino)
}

async function bind(server: Server, path: string, backlog: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
    // This call makes the file. A worker thread cannot change the mask.
    const before = isMainThread ? process.umask(STRICT_UMASK) : undefined
    try {
      server.listen({ path, backlog })
    } finally {
      if (before !== undefined) process.umask(before)
    }
  })
}

/** Tells whether no program listens on the file: the kernel then refuses the connection at once. */
async function isAbandoned(path: string): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const socket = connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', (error) => resolve(errnoOf(error) === 'ECONNREFUSED'))
  })
}

/**
 * Removes a file if it has not changed since it was checked: another program may have removed it too and
 * listen on a new one. There is no other operation between check and removal.
 */
function removeUnchanged(path: string, seen: Stats | undefined): void {
  const now = statOf(path)
  if (seen === undefined || now === undefined) return
  if (now.ino !== seen.ino || now.ctimeMs !== seen.ctimeMs) return
  try {
    unlinkSync(path)
  } catch (cause) {
    throw listenError(
      path,
      errnoOf(cause),
      `${errnoOf(cause)}, the old file cannot be removed`,
      cause,
    )
  }
}

/** Removes the file of an own socket, unless another one has its path by now. */
function removeOwn(path: string, ino: number): void {
  if (statOf(path)?.ino !== ino) return
  try {
    unlinkSync(path)
  } catch {
    // It stays: the next start removes it, as no program listens on it.
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

function listenError(
  path: string,
  errno: string,
  why: string,
  cause: unknown,
  holder?: string,
): PortcheckError {
  const code = CODES.get(errno) ?? 'PORTCHECK_BIND_FAILED'
  const address = `unix:${path}`
  return new PortcheckError(code, `cannot listen on ${address}: ${why}`, {
    errno,
    address,
    cause,
    holder,
  })
}

/** A listening unix socket; made by `listenUnix`. The file is removed when it closes. */
export class UnixListener {
  /** Path of the socket as it was given. */
  readonly path: string
  /** Whether the file stays when this listener closes, because another process listens on the socket too. */
  keepsFile = false
  /** Resolves when the socket is closed and all connections have closed. Never rejects. */
  readonly closed: Promise<void>

  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  /** Number of the file; undefined: Node removes it. */
  readonly #ino: number | undefined

  /** @internal */
  constructor(
    server: Server,
    path: string,
    onConnection: (socket: Socket) => void,
    ino: number | undefined,
  ) {
    this.#server = server
    this.path = path
    this.#ino = ino
    this.closed = new Promise((resolve) => server.once('close', resolve))
    server.on('error', () => {}) // a failed accept must not end the process; Node continues to accept
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      onConnection(socket)
    })
  }

  /** Number of open connections. */
  get open(): number {
    return this.#sockets.size
  }

  /**
   * The socket, for a process that takes it over. Undefined when it is closed, or where the file cannot
   * outlive this process: not on Linux, on a file system without links, or with a path of more than 100
   * bytes.
   */
  get descriptor(): InheritedUnixSocket | undefined {
    const ino = this.#ino
    const fd = this.#server.listening ? handleFd(this.#server) : undefined
    if (ino === undefined || fd === undefined || fd < 0) return undefined
    return { fd, path: this.path, ino }
  }

  /** Changes the permissions of the file: who can connect. */
  chmod(mode: number): void {
    chmodSync(this.path, mode)
  }

  /**
   * Removes the file and waits until the open connections have closed. Rejects with the reason of the
   * signal when it aborts; the connections then stay open.
   */
  async close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options
    this.#stop()
    if (signal === undefined) return await this.closed
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason)
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      void this.closed.then(() => {
        signal.removeEventListener('abort', onAbort)
        return resolve()
      })
    })
  }

  /** Removes the file and closes every connection now. */
  destroy(): void {
    this.#stop()
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.closed
  }

  #stop(): void {
    if (!this.#server.listening) return
    if (this.#ino !== undefined && !this.keepsFile) removeOwn(this.path, this.#ino)
    this.#server.close()
  }
}
