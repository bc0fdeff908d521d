/** How the agent connects to a service of a listener. */
import type { Socket } from 'node:net'

import { formatSourceAddress, type SourceAddress } from '@proj/config/address'
import { dial, type DialOptions, type Endpoint, type TlsOptions } from '@proj/dialer'

import { isFolder, type ListenerAddr } from './listener-addr.ts'

/** The settings of a listener that say how its services are reached. */
interface DialSettings {
  readonly timeoutMs: number
  readonly bindAddr: readonly SourceAddress[]
}

/** A service and the options of the connections to it. */
export interface ServiceDial {
  readonly service: Endpoint
  readonly connect: Omit<DialOptions, 'signal'>
}

/**
 * @param addr - for a folder nothing is dialed: its connections are made in memory.
 * @param tls - how TLS is made, for an address with `https://`.
 */
export function serviceDial(
  addr: ListenerAddr,
  { timeoutMs, bindAddr }: DialSettings,
  tls: TlsOptions | undefined,
): ServiceDial {
  if (isFolder(addr)) return { service: { path: addr.folder }, connect: {} }
  const { address, tls: hasTls } = addr
  const isUnix = address.kind === 'unix'
  const family = isUnix || address.family === 'both' ? undefined : address.family
  return {
    service: isUnix ? { path: address.path } : { host: address.host, port: address.port },
    connect: {
      targetName: 'service',
      timeouts: { totalMs: timeoutMs },
      ...(family !== undefined && { family: family === 'ipv4' ? 4 : 6 }),
      ...(bindAddr.length > 0 && { localAddress: bindAddr.map(formatSourceAddress) }),
      ...(hasTls && tls !== undefined && { tls }),
    },
  }
}

/** Connects to the service. @throws {DialError} and the reason of the signal. */
export async function connectService(
  { service, connect }: ServiceDial,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = await dial(service, { ...connect, signal })
  // It may go on answering behind our FIN, and we behind its.
  socket.allowHalfOpen = true
  return socket
}
