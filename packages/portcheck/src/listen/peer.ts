// A dual-stack socket reports IPv4 clients as `::ffff:192.0.2.1`. Logs, limits and access lists need one
// spelling, so the address of a peer is normalised once, when its connection is accepted.
import { isIPv4, type Socket } from 'node:net'

import { unmapIPv4 } from '@proj/config/address'

/** The other end of an accepted connection. */
export interface Peer {
  /** IPv4 also for a peer in IPv6 form; IPv6 without its zone. */
  readonly address: string
  /** Remote port, 1 to 65535. */
  readonly port: number
  /** The family of {@link address}. */
  readonly family: 'ipv4' | 'ipv6'
  /** The interface of a link-local peer. */
  readonly zone?: string
}

/** Normalises an address that a socket reports. */
export function normalisePeer(address: string, port: number): Peer {
  const [host = '', zone] = address.split('%', 2)
  const plain = unmapIPv4(host)
  if (isIPv4(plain)) return { address: plain, port, family: 'ipv4' }
  const peer: Peer = { address: plain, port, family: 'ipv6' }
  return zone === undefined ? peer : { ...peer, zone }
}

/** Sockets whose load balancer has named the client, with it. */
const clients = new WeakMap<Socket, Peer>()

/** From now on {@link peerOf} returns the client that a load balancer has named. */
export function setClient(socket: Socket, client: Peer): void {
  clients.set(socket, client)
}

/**
 * Returns the peer of a socket, or the client that the load balancer in front has named; undefined when the
 * connection has already closed.
 */
export function peerOf(socket: Socket): Peer | undefined {
  const client = clients.get(socket)
  if (client !== undefined) return client
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  return normalisePeer(remoteAddress, remotePort)
}
