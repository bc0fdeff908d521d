// One socket that is or could be opened, after names are resolved and families decided. Everything
// below works on endpoints; what a person writes is a want (want.ts).
import { isIPv6 } from 'node:net'

import { formatHostPort } from '@proj/config/address'

/** One listening socket, wanted or real. */
export interface Endpoint {
  /** An IP literal without brackets; a link-local address carries its zone (`fe80::1%eth0`). */
  readonly host: string
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
  /** True for `::` that also takes IPv4; false for everything else. */
  readonly dual: boolean
}

/** Which IP families reach an endpoint. */
export type Families = 'IPv4' | 'IPv6' | 'IPv6 + IPv4'

/** Writes an endpoint the way it is typed: `127.0.0.1:80`, `[::1]:80`. */
export function formatEndpoint(endpoint: Pick<Endpoint, 'host' | 'port'>): string {
  return formatHostPort(endpoint.host, endpoint.port)
}

/** Says which families an endpoint serves. */
export function familiesOf(endpoint: Endpoint): Families {
  if (!isIPv6(endpoint.host)) return 'IPv4'
  return endpoint.dual ? 'IPv6 + IPv4' : 'IPv6'
}

/** Whether `host` means "every address of its family". */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
