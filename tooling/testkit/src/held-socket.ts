// A listening socket that the test holds open and does not accept from, as a service manager holds those
// of a socket unit. Programs get its descriptor; what connects while none of them runs waits in its queue.
import { spawnSync } from 'node:child_process'
import * as net from 'node:net'
import { isIPv6 } from 'node:net'
import { onTestFinished } from 'vitest'

/** A listening socket without a process that accepts from it. */
export interface HeldSocket {
  /** Its descriptor in this process. */
  readonly fd: number
  readonly port: number
}

/** What Node opens a socket with before it listens; it only binds. */
type CreateHandle = (host: string, port: number, family: 4 | 6) => Handle

interface Handle {
  readonly fd: number
  getsockname(out: object): number
  close(): void
}

/** Longest queue; the kernel lowers it to net.core.somaxconn. */
const BACKLOG = 65_535

/** Opens a socket on a free port; it is closed when the test ends, outside of tests with the process. */
export function heldSocket(host = '127.0.0.1', port = 0): HeldSocket {
  const create = Reflect.get(net, '_createServerHandle') as CreateHandle
  const handle = create(host, port, isIPv6(host) ? 6 : 4)
  try {
    onTestFinished(() => handle.close())
  } catch {
    // not inside a test
  }
  const address = { port: 0 }
  handle.getsockname(address)
  // A handle that listens also accepts. So a process that ends at once listens on the socket.
  const listen = `require('node:net').createServer().listen({ fd: 3 }, ${BACKLOG}, () => process.exit())`
  const { status } = spawnSync(process.execPath, ['-e', listen], {
    stdio: ['ignore', 'inherit', 'inherit', handle.fd],
  })
  if (status !== 0) throw new Error('the socket could not be opened')
  return { fd: handle.fd, port: address.port }
}
