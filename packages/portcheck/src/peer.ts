// A dual-stack socket reports IPv4 clients as `::ffff:192.0.2.1`. Logs, limits and access lists that
// see both spellings miss one of them, so peers are normalised once, where they are accepted.
import { isIPv4, type Socket } from 'node:net'

/** The other end of an accepted connection. */
export interface Peer {
  /** IPv4 in dotted form also when it came through IPv6; IPv6 without its zone. */
  readonly address: string
  /** Remote port. */
  readonly port: number
  /** The family of {@link address}. */
  readonly family: 'ipv4' | 'ipv6'
  /** The interface of a link-local peer. */
  readonly zone?: string
}

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** Normalises an address as sockets report it. */
export function normalisePeer(address: string, port: number): Peer {
  const [host = '', zone] = address.split('%', 2)
  const mapped = MAPPED.exec(host)?.[1]
  if (mapped !== undefined) return { address: mapped, port, family: 'ipv4' }
  const family = isIPv4(host) ? 'ipv4' : 'ipv6'
  return zone === undefined
    ? { address: host, port, family }
    : { address: host, port, family, zone }
}

/** The peer of a socket; undefined when the connection has gone already. */
export function peerOf(socket: Socket): Peer | undefined {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return normalisePeer(remoteAddress, remotePort)
}
