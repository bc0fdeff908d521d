import { networkInterfaces } from 'node:os'

/** True for `0.0.0.0` and `::`, which bind to nothing in particular. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/** True for addresses that only mean something on one link (RFC 4291 2.5.6, RFC 3927). */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address) || address.startsWith('169.254.')
}

/** Lists the addresses of this host, such as `eth0 192.0.2.7, lo 127.0.0.1`, for error hints. */
export function listLocalAddresses(): string {
  return Object.entries(networkInterfaces())
    .flatMap(([name, list]) => (list ?? []).map((item) => `${name} ${item.address}`))
    .join(', ')
}
