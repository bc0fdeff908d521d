// Listening on a unix socket. The path is a file that stays after a crash and would block the next start,
// so a file without a listener is removed. A file that is in use is never removed.
import { chmodSync, lstatSync, type Stats, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { inspect } from 'node:util'
import { isMainThread } from 'node:worker_threads'
import { errnoOf } from '../claim/bind-verdict.ts'
import { isPortcheckError, PortcheckError, type PortcheckErrorCode } from '../errors.ts'
import { limitOf } from '../limits.ts'
import { findUnixHolder } from '../holders/linux-unix-socket.ts'

/** Options of a unix socket. */
export interface ListenUnixOptions {
  /** Permissions of the file: who can connect. 0 to 0o777. @default 0o600 */
  readonly mode?: number
  /** Length of the kernel's queue of connections that are not accepted yet; see PORTCHECK_LIMITS. */
  readonly backlog?: number
  /** Receives every connection; half-open is allowed. */
  readonly onConnection: (socket: Socket) => void
}

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

async function open(
  path: string,
  mode: number,
  backlog: number,
  onConnection: (socket: Socket) => void,
): Promise<UnixListener> {
  const server = createServer({ allowHalfOpen: true })
  try {
    await bind(server, path, backlog)
    if (process.platform !== 'win32') chmodSync(path, mode) // a named pipe has no mode
  } catch (cause) {
    server.close()
    // libuv reports EACCES for a missing folder.
    const missing = errnoOf(cause) === 'EACCES' && statOf(dirname(path)) === undefined
    const errno = missing ? 'ENOENT' : errnoOf(cause)
    throw listenError(path, errno, errno, cause)
  }
  return new UnixListener(server, path, onConnection)
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
  /** Resolves when the socket is closed and all connections have closed. Never rejects. */
  readonly closed: Promise<void>

  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  /** @internal */
  constructor(server: Server, path: string, onConnection: (socket: Socket) => void) {
    this.#server = server
    this.path = path
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
    if (this.#server.listening) this.#server.close()
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
    if (this.#server.listening) this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.destroy()
    await this.closed
  }
}
