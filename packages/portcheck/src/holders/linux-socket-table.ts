// /proc/net/tcp and tcp6: every TCP socket of this network namespace, except sockets that are bound and do
// nothing, which the kernel does not list. Readable by all users, with the user id of the owner. One line:
//   sl  local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
// Addresses are hex, each 32-bit word in host byte order; the port is big-endian hex.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { SocketAddress } from 'node:net'
import { endianness } from 'node:os'

import { unmapIPv4 } from '@proj/config/address'

import type { HolderState } from './holder.ts'

/** One socket of the table. */
export interface SocketRow {
  /** Local address; IPv4 in IPv6 form is converted to IPv4. */
  readonly address: string
  readonly port: number
  readonly state: HolderState
  readonly uid: number
  /** Number of the socket; 0 when its process has ended. */
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

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const

/** Reads the listening sockets of all ports, by their number; empty where there are no tables. */
export function readListeners(): ReadonlyMap<number, SocketRow> {
  const rows = TABLES.flatMap((path) => {
    try {
      return readFileSync(path, 'latin1').split('\n')
    } catch {
      return [] // a kernel without IPv6 has no tcp6
    }
  })
  const littleEndian = endianness() === 'LE'
  const listening = rows.flatMap((line) => parseRow(line, littleEndian) ?? [])
  return new Map(
    listening.filter(({ state }) => state === 'listening').map((row) => [row.inode, row]),
  )
}

/** Reads the sockets on one local port; undefined when the table cannot be read. */
export async function readSocketTable(port: number): Promise<SocketRow[] | undefined> {
  const tables = await Promise.all(
    TABLES.map(async (path) => {
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

/** Parses a table and keeps the rows of one local port. Invalid lines are skipped. */
export function parseSocketTable(
  text: string,
  port: number,
  littleEndian: boolean = endianness() === 'LE',
): SocketRow[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return text.split('\n').flatMap((line) => {
    // Most lines of a large table are about other ports; to split them would be most of the cost.
    if (!line.includes(wanted)) return []
    const row = parseRow(line, littleEndian)
    return row?.port === port ? [row] : []
  })
}

function parseRow(line: string, littleEndian: boolean): SocketRow | undefined {
  const [, local = '', , st = '', , , , uid = '', , inode = ''] = line.trim().split(/\s+/)
  const state = STATES.get(st)
  const [, host = '', port = ''] = /^([0-9A-F]+):([0-9A-F]{4})$/.exec(local) ?? []
  const address = parseHexAddress(host, littleEndian)
  if (address === undefined || state === undefined) return undefined
  return { address, port: Number.parseInt(port, 16), state, uid: Number(uid), inode: Number(inode) }
}

function parseHexAddress(hex: string, littleEndian: boolean): string | undefined {
  if (!/^(?:[0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return undefined
  const bytes = Buffer.from(hex, 'hex')
  if (littleEndian) bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(at * 2).toString(16))
  const { address } = new SocketAddress({ address: groups.join(':'), family: 'ipv6' })
  return unmapIPv4(address)
}
