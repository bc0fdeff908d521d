// The addresses of this machine that a person would type to reach a listener.
import { networkInterfaces } from 'node:os'

import { type Endpoint, isWildcard } from './endpoint.ts'
import { type Interfaces, outerAddress } from './reachable-urls.ts'

/** An address to dial. */
export interface DialTarget {
  readonly host: string
  readonly port: number
  /**
   * Whether our sockets serve it. The loopback of the other family is dialled too, since
   * `localhost` may mean it; there only another program's answer matters.
   */
  readonly ours: boolean
}

/** Lists what to dial for the sockets of one want: loopbacks, and the addresses that are printed. */
export function dialTargets(
  endpoints: readonly Endpoint[],
  interfaces: Interfaces = networkInterfaces(),
): DialTarget[] {
  const port = endpoints[0]?.port ?? 0
  const ours = new Set(endpoints.flatMap((endpoint) => hostsOf(endpoint, interfaces)))
  const others = ['127.0.0.1', '::1'].filter(
    (host) => !ours.has(host) && (ours.has('127.0.0.1') || ours.has('::1')),
  )
  return [
    ...[...ours].map((host) => ({ host, port, ours: true })),
    ...others.map((host) => ({ host, port, ours: false })),
  ]
}

function hostsOf(endpoint: Endpoint, interfaces: Interfaces): string[] {
  if (!isWildcard(endpoint.host)) return [endpoint.host]
  const v4 = endpoint.host === '0.0.0.0' || endpoint.dual
  const v6 = endpoint.host === '::'
  return [
    ...(v4 ? ['127.0.0.1', outerAddress('IPv4', interfaces)] : []),
    ...(v6 ? ['::1', outerAddress('IPv6', interfaces)] : []),
  ].filter((host) => host !== undefined)
}
