import type { ListenAddress, TcpListenAddress } from './listen-address.ts'

/**
 * Tells whether two addresses of one configuration would compete for the same connections, so that
 * the second bind fails or takes traffic away from the first. Names are compared as text.
 *
 * Port 0 never overlaps, each bind gets a port of its own.
 */
export function listenAddressesOverlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.kind === 'unix') return b.kind === 'unix' && a.path === b.path
  if (a.kind === 'fd') return b.kind === 'fd' && a.fd === b.fd
  if (b.kind !== 'tcp' || a.port !== b.port || a.port === 0) return false
  return (['ipv4', 'ipv6'] as const).some((family) => {
    const [left, right] = [reach(a, family), reach(b, family)]
    return left !== undefined && right !== undefined && (left === right || isAll(left, right))
  })
}

/** The address taken in one family, `*` for all of them, undefined for none. */
function reach(address: TcpListenAddress, family: 'ipv4' | 'ipv6'): string | undefined {
  if (address.family !== 'both' && address.family !== family) return undefined
  if (['*', '0.0.0.0', '::'].includes(address.host)) return '*'
  if (address.hostKind === 'localhost') return family === 'ipv4' ? '127.0.0.1' : '::1'
  return address.host
}

function isAll(left: string, right: string): boolean {
  return left === '*' || right === '*'
}
