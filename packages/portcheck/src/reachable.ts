// The addresses of this machine that reach a listener: URLs to print, and targets for `verify`. A wildcard
// becomes the loopback and one address per family that other machines can reach.
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { formatUrl, isLinkLocal, isUnspecified } from '@proj/config/address'
import { type Endpoint } from './endpoint.ts'

/** Bridges and virtual interfaces, which other machines cannot reach. */
const INNER_INTERFACE = /^(?:docker|br-|veth|virbr|cni|flannel|cali)/

/** Interfaces in the form of `os.networkInterfaces()`. */
export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

/** Returns up to three URLs for the sockets of one want. */
export function reachableUrls(
  endpoints: readonly Endpoint[],
  scheme: string,
  interfaces: Interfaces = networkInterfaces(),
): string[] {
  const hosts = new Set(endpoints.flatMap((endpoint) => hostsOf(endpoint, interfaces, false)))
  // `localhost` is correct for both loopbacks, and for a wildcard, which accepts on every loopback.
  const both = hosts.has('127.0.0.1') && hosts.has('::1')
  const wildcard = endpoints.some((endpoint) => isUnspecified(endpoint.host))
  const named = both || wildcard ? ['localhost'] : []
  const rest = [...hosts].filter(
    (host) => named.length === 0 || (host !== '127.0.0.1' && host !== '::1'),
  )
  const port = endpoints[0]?.port ?? 0
  return [...named, ...rest].slice(0, 3).map((host) => formatUrl(scheme, host, port))
}

/** Tells whether this machine has an IPv6 address, also only the loopback. */
export function hasIPv6(interfaces: Interfaces = networkInterfaces()): boolean {
  return addressesOf(interfaces).some((info) => info.family === 'IPv6')
}

/** Returns the first address of one family that other machines can reach. */
function outerAddress(
  family: 'IPv4' | 'IPv6',
  interfaces: Interfaces = networkInterfaces(),
): string | undefined {
  return addressesOf(interfaces).find(
    (info) => info.family === family && !info.internal && !isLinkLocal(info.address),
  )?.address
}

function addressesOf(interfaces: Interfaces): NetworkInterfaceInfo[] {
  return Object.entries(interfaces)
    .filter(([name]) => !INNER_INTERFACE.test(name))
    .flatMap(([, infos]) => infos ?? [])
}

/** An address for `verify` to connect to. */
export interface DialTarget {
  readonly host: string
  readonly port: number
  /**
   * Whether our sockets serve it. The loopback of the other family is a target too, because `localhost`
   * can mean it; there only another program is of interest.
   */
  readonly ours: boolean
}

/** Returns the targets for the sockets of one want: the loopbacks, and the addresses in the URLs. */
export function dialTargets(
  endpoints: readonly Endpoint[],
  interfaces: Interfaces = networkInterfaces(),
): DialTarget[] {
  const port = endpoints[0]?.port ?? 0
  const ours = new Set(endpoints.flatMap((endpoint) => hostsOf(endpoint, interfaces, true)))
  const others = ['127.0.0.1', '::1'].filter(
    (host) => !ours.has(host) && (ours.has('127.0.0.1') || ours.has('::1')),
  )
  return [
    ...[...ours].map((host) => ({ host, port, ours: true })),
    ...others.map((host) => ({ host, port, ours: false })),
  ]
}

/** Returns the addresses for an endpoint; `loopback` includes the loopback addresses of a wildcard. */
function hostsOf(endpoint: Endpoint, interfaces: Interfaces, loopback: boolean): string[] {
  if (!isUnspecified(endpoint.host)) return [endpoint.host]
  const v4 = endpoint.host === '0.0.0.0' || endpoint.dual
  const v6 = endpoint.host === '::'
  return [
    v4 && loopback ? '127.0.0.1' : undefined,
    v4 ? outerAddress('IPv4', interfaces) : undefined,
    v6 && loopback ? '::1' : undefined,
    v6 ? outerAddress('IPv6', interfaces) : undefined,
  ].filter((host) => host !== undefined)
}
