// What a person can type to reach a listener. Wildcards are no addresses to open in a browser, so
// they become the loopback name and one address per family of this machine.
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'

import { formatUrl } from '@proj/config/address'

import { type Endpoint, isWildcard } from './endpoint.ts'

/** Bridges and their ends, which nobody outside this machine can reach. */
const INNER_INTERFACE = /^(?:docker|br-|veth|virbr|cni|flannel|cali)/

/** Interfaces as `os.networkInterfaces()` gives them. */
export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

/** Lists up to three URLs for the sockets of one want. */
export function reachableUrls(
  endpoints: readonly Endpoint[],
  scheme: string,
  interfaces: Interfaces = networkInterfaces(),
): string[] {
  const hosts = new Set(endpoints.flatMap((endpoint) => hostsOf(endpoint, interfaces)))
  // `localhost` is true for both loopbacks or for a wildcard, which answers on each that exists.
  const both = hosts.has('127.0.0.1') && hosts.has('::1')
  const wildcard = endpoints.some((endpoint) => isWildcard(endpoint.host))
  const named = both || wildcard ? ['localhost'] : []
  const rest = [...hosts].filter(
    (host) => named.length === 0 || (host !== '127.0.0.1' && host !== '::1'),
  )
  const port = endpoints[0]?.port ?? 0
  return [...named, ...rest].slice(0, 3).map((host) => formatUrl(scheme, host, port))
}

/** Whether this machine has an IPv6 address at all, the loopback included. */
export function hasIPv6(interfaces: Interfaces = networkInterfaces()): boolean {
  return addressesOf(interfaces).some((info) => info.family === 'IPv6')
}

/** The first address of this machine that others can reach, for one family. */
export function outerAddress(
  family: 'IPv4' | 'IPv6',
  interfaces: Interfaces = networkInterfaces(),
): string | undefined {
  return addressesOf(interfaces).find(
    (info) => info.family === family && !info.internal && !info.address.startsWith('fe80:'),
  )?.address
}

function hostsOf(endpoint: Endpoint, interfaces: Interfaces): string[] {
  if (!isWildcard(endpoint.host)) return [endpoint.host]
  const v4 = endpoint.host === '0.0.0.0' || endpoint.dual
  const v6 = endpoint.host === '::'
  return [
    v4 ? outerAddress('IPv4', interfaces) : undefined,
    v6 ? outerAddress('IPv6', interfaces) : undefined,
  ].filter((address) => address !== undefined)
}

function addressesOf(interfaces: Interfaces): NetworkInterfaceInfo[] {
  return Object.entries(interfaces)
    .filter(([name]) => !INNER_INTERFACE.test(name))
    .flatMap(([, infos]) => infos ?? [])
}
