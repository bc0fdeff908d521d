// /proc/net/tcp and tcp6: every TCP socket of this network namespace except those that are bound but
// idle, which the kernel lists nowhere. World-readable, owner's user id included. One line each:
//   sl  local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
// Addresses are hex, each 32-bit word in host byte order; the port is big-endian hex.
import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'

import type { HolderState } from './holder.ts'

/** One socket of the table. */
export interface SocketRow {
  /** Local address: IPv4 in dotted form also when mapped into IPv6. */
  readonly address: string
  readonly port: number
  readonly state: HolderState
  readonly uid: number
  /** Number of the socket; 0 when no process owns it any more. */
  readonly inode: number
}

/** States of include/net/tcp_states.h. */
const STATES: ReadonlyMap<string, HolderState> = new Map([
  ['01', 'connected'],
  ['02', 'connected'], // SYN_SENT
  ['03', 'connected'], // SYN_RECV
  ['04', 'closing'], // FIN_WAIT1
  ['05', 'closing'], // FIN_WAIT2
  ['06', 'time-wait'],
  ['08', 'closing'], // CLOSE_WAIT
  ['09', 'closing'], // LAST_ACK
  ['0A', 'listening'],
  ['0B', 'closing'],
  ['0C', 'connected'], // NEW_SYN_RECV
])

/** Reads the sockets on one local port; undefined when the table cannot be read. */
export async function readSocketTable(port: number): Promise<SocketRow[] | undefined> {
  const tables = await Promise.all(
    ['/proc/net/tcp', '/proc/net/tcp6'].map(async (path) => {
      try {
        return parseSocketTable(await readFile(path, 'latin1'), port)
      } catch {
        return undefined // a kernel without IPv6 has no tcp6
      }
    }),
  )
  const found = tables.filter((table) => table !== undefined)
  return found.length === 0 ? undefined : found.flat()
}

/** Parses a table, keeping the rows of one local port. Lines that do not parse are skipped. */
export function parseSocketTable(
  text: string,
  port: number,
  littleEndian: boolean = endianness() === 'LE',
): SocketRow[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return text.split('\n').flatMap((line) => {
    // Most of a large table is about other ports; splitting it would be the whole cost.
    if (!line.includes(wanted)) return []
    const [, local = '', , st = '', , , , uid = '', , inode = ''] = line.trim().split(/\s+/)
    const state = STATES.get(st)
    if (!local.endsWith(wanted) || state === undefined) return []
    const address = parseHexAddress(local.slice(0, -wanted.length), littleEndian)
    if (address === undefined) return []
    return [{ address, port, state, uid: Number(uid), inode: Number(inode) }]
  })
}

function parseHexAddress(hex: string, littleEndian: boolean): string | undefined {
  if (!/^(?:[0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return undefined
  const bytes = Buffer.from(hex, 'hex')
  if (littleEndian) bytes.swap32()
  const mapped = bytes.length === 16 && bytes.subarray(0, 12).equals(MAPPED_PREFIX)
  if (bytes.length === 4 || mapped) return bytes.subarray(-4).join('.')
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16))
  return compress(words)
}

const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex')

/** RFC 5952 section 4.2: the longest run of two or more zero words, the first of equals. */
function compress(words: readonly string[]): string {
  const runs = words.map((_, start) => {
    const end = words.findIndex((word, index) => index >= start && word !== '0')
    return (end === -1 ? words.length : end) - start
  })
  const longest = Math.max(...runs)
  if (longest < 2) return words.join(':')
  const start = runs.indexOf(longest)
  return `${words.slice(0, start).join(':')}::${words.slice(start + longest).join(':')}`
}
