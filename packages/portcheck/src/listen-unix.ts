// Listening on a unix socket. The path is a file, which outlives a program that crashed and then
// blocks the next one; so a file that nobody answers on is removed, and never one that is in use.
import { chmodSync, lstatSync, type Stats, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { inspect } from 'node:util'
import { isMainThread } from 'node:worker_threads'

import { errnoOf } from './bind-verdict.ts'
import { isPortcheckError, PortcheckError, type PortcheckErrorCode } from './errors.ts'
import { findUnixHolder } from './linux-unix-holder.ts'
import { UnixListener } from './unix-listener.ts'

/** How to listen on a unix socket. */
export interface ListenUnixOptions {
  /** Permissions of the file, who may connect. 0 to 0o777. @default 0o600 */
  readonly mode?: number
  /** Length of the kernel's queue of connections not yet accepted, 1 to 65535. @default 511 */
  readonly backlog?: number
  /** Receives every connection, half-open. */
  readonly onConnection: (socket: Socket) => void
}

/** Nobody but the owner may connect while the file is younger than its permissions. */
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
 * @throws {PortcheckError} PORTCHECK_PORT_BUSY when somebody listens there or the file is no socket,
 *   PORTCHECK_PORT_DENIED, PORTCHECK_ADDRESS_ABSENT when there is no such folder.
 */
export async function listenUnix(path: string, options: ListenUnixOptions): Promise<UnixListener> {
  const { mode = 0o600, backlog = 511 } = options
  if (!Number.isInteger(mode) || mode < 0 || mode > 0o777) {
    throw new RangeError(`mode must be an integer from 0 to 0o777, got ${inspect(mode)}`)
  }
  try {
    return await open(path, mode, backlog, options.onConnection)
  } catch (error) {
    if (!isPortcheckError(error, 'PORTCHECK_PORT_BUSY')) throw error
    const found = statOf(path)
    if (found !== undefined && !found.isSocket()) {
      throw refusal(path, 'EADDRINUSE', 'there is a file that is no socket', error.cause)
    }
    if (found === undefined || (await isAbandoned(path))) {
      removeUnchanged(path, found)
      return await open(path, mode, backlog, options.onConnection)
    }
    const holder = await findUnixHolder(path)
    if (holder === undefined) throw error
    throw refusal(path, 'EADDRINUSE', `EADDRINUSE, held by ${holder}`, error.cause, holder)
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
    if (process.platform !== 'win32') chmodSync(path, mode) // a named pipe there, which has no mode
  } catch (cause) {
    server.close()
    // libuv says EACCES for a missing folder, as Windows does.
    const missing = errnoOf(cause) === 'EACCES' && statOf(dirname(path)) === undefined
    const errno = missing ? 'ENOENT' : errnoOf(cause)
    throw refusal(path, errno, errno, cause)
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
    // The file is made within this call; a thread of a worker cannot change the mask.
    const before = isMainThread ? process.umask(STRICT_UMASK) : undefined
    try {
      server.listen({ path, backlog })
    } finally {
      if (before !== undefined) process.umask(before)
    }
  })
}

/** Whether nobody listens behind the file: the kernel refuses at once. */
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
 * Removes a file that is still the one which was looked at: another program may have found it
 * abandoned, too, and listen on a new one by now. Look and removal follow one another directly.
 */
function removeUnchanged(path: string, seen: Stats | undefined): void {
  const now = statOf(path)
  if (seen === undefined || now === undefined) return
  if (now.ino !== seen.ino || now.ctimeMs !== seen.ctimeMs) return
  try {
    unlinkSync(path)
  } catch (cause) {
    throw refusal(path, errnoOf(cause), `${errnoOf(cause)}, what is there cannot be removed`, cause)
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

function refusal(
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
