import { closeSync, openSync, readSync } from 'node:fs'

/** Reads the routes of this machine; undefined: they cannot be read, or are too many. */
export type ReadRoutes = () => ReadonlySet<string> | undefined

/** More of a table is not read, bytes: a router of the internet has 100 MB and no use for this. */
const MAX_TABLE_BYTES = 64 * 1024

/** Columns of /proc/net/route, see `fib_route_seq_show` of Linux; the first line is their names. */
const V4 = { interface: 0, destination: 1, gateway: 2, metric: 6, mask: 7, columns: 11 }

/** Columns of /proc/net/ipv6_route, see `ipv6_route_native_seq_show` of Linux; it has no first line. */
const V6 = { destination: 0, prefix: 1, gateway: 4, metric: 5, interface: 9, columns: 10 }

/** fe80::/10 and ff00::/8: they lead nowhere else, and those of containers come and go all the time. */
const V6_LOCAL = /^(?:fe[89ab]|ff)/

/**
 * The routes in the text of /proc/net/route, each as `destination/mask gateway interface metric`: without
 * the counts of uses, which change all the time.
 */
export function ipv4Routes(text: string): string[] {
  const routes: string[] = []
  for (const line of wholeLines(text).slice(1)) {
    const fields = line.trim().split(/\s+/)
    if (fields.length < V4.columns) continue
    routes.push(
      `${fields[V4.destination]}/${fields[V4.mask]} ${fields[V4.gateway]} ${fields[V4.interface]} ${fields[V4.metric]}`,
    )
  }
  return routes
}

/** As {@link ipv4Routes}, of /proc/net/ipv6_route; without routes of the loopback, link-local and multicast. */
export function ipv6Routes(text: string): string[] {
  const routes: string[] = []
  for (const line of wholeLines(text)) {
    const fields = line.trim().split(/\s+/)
    if (fields.length < V6.columns || fields[V6.interface] === 'lo') continue
    const destination = fields[V6.destination] ?? ''
    if (V6_LOCAL.test(destination)) continue
    routes.push(
      `${destination}/${fields[V6.prefix]} ${fields[V6.gateway]} ${fields[V6.interface]} ${fields[V6.metric]}`,
    )
  }
  return routes
}

/** Every line of both tables ends with a line feed. */
function wholeLines(text: string): string[] {
  return text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
}

/** The main routing table of Linux; undefined on other systems. */
export function readSystemRoutes(): ReadonlySet<string> | undefined {
  const v4 = readTable('/proc/net/route')
  if (v4 === undefined) return undefined
  // A kernel without IPv6 has no second table.
  return new Set([...ipv4Routes(v4), ...ipv6Routes(readTable('/proc/net/ipv6_route') ?? '')])
}

function readTable(path: string): string | undefined {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch {
    return undefined
  }
  try {
    const buffer = Buffer.allocUnsafe(MAX_TABLE_BYTES)
    let length = 0
    while (length < buffer.length) {
      const read = readSync(fd, buffer, length, buffer.length - length, null)
      if (read === 0) return buffer.toString('latin1', 0, length)
      length += read
    }
    return undefined
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}
