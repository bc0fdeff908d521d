// Whether connections wait in the queues of listening sockets, from /proc/net/tcp and tcp6: the kernel lists
// sockets that listen first, and has the length of their queue in the column rx_queue. Reading is not
// asynchronous, so that nothing else runs between this look and what follows it.
import { closeSync, openSync, readSync } from 'node:fs'

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const
const LISTEN = '0A'
/** Enough for some 200 listening sockets; further ones are not looked at. */
const MAX_BYTES = 32 * 1024

/** Tells whether a connection waits to be accepted on one of these ports; false where that is not known. */
export function hasQueued(ports: ReadonlySet<number>): boolean {
  if (process.platform !== 'linux') return false
  return TABLES.some((table) => parseQueued(head(table), ports))
}

/** Looks in the text of one of the tables. */
export function parseQueued(table: string, ports: ReadonlySet<number>): boolean {
  for (const line of table.split('\n').slice(1)) {
    // sl local_address rem_address st tx_queue:rx_queue
    const [, local, , state, queues] = line.trim().split(/\s+/)
    if (state !== LISTEN || local === undefined || queues === undefined) return false
    const port = Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16)
    const waiting = Number.parseInt(queues.slice(queues.indexOf(':') + 1), 16)
    if (waiting > 0 && ports.has(port)) return true
  }
  return false
}

function head(path: string): string {
  let file: number | undefined
  try {
    file = openSync(path, 'r')
    const bytes = Buffer.allocUnsafe(MAX_BYTES)
    let length = 0
    let read = -1
    // One read of the kernel's is a page at most, some 27 lines.
    while (read !== 0 && length < MAX_BYTES) {
      read = readSync(file, bytes, length, MAX_BYTES - length, null)
      length += read
    }
    return bytes.toString('latin1', 0, length)
  } catch {
    return ''
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
