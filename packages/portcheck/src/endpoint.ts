// One listening socket, after names are resolved and families are known. The address that a user gives
// is a want (claim/wanted-address.ts), which can need several sockets.
import { isIPv6 } from 'node:net'

import { formatHostPort } from '@proj/config/address'

/** One listening socket, wanted or real. */
export interface Endpoint {
  /** An IP address without brackets; a link-local address has its zone (`fe80::1%eth0`). */
  readonly host: string
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
  /** True for `::` that also accepts IPv4; false for every other address. */
  readonly dual: boolean
}

/** Which IP families reach an endpoint. */
export type Families = 'IPv4' | 'IPv6' | 'IPv6 + IPv4'

/** Formats an endpoint: `127.0.0.1:80`, `[::1]:80`. */
export function formatEndpoint(endpoint: Pick<Endpoint, 'host' | 'port'>): string {
  return formatHostPort(endpoint.host, endpoint.port)
}

/** Returns the families that reach an endpoint. */
export function familiesOf(endpoint: Endpoint): Families {
  if (!isIPv6(endpoint.host)) return 'IPv4'
  return endpoint.dual ? 'IPv6 + IPv4' : 'IPv6'
}
