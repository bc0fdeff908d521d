import { refuser } from './split-address.ts'
import { type ListenAddress, parseListenAddress, type TcpListenAddress } from './listen-address.ts'

/** Most addresses one setting may list. */
const MAX_ADDRESSES = 64

/**
 * Reads one or several addresses separated by commas.
 *
 * When 0.0.0.0 and [::] are listed with one port, [::] becomes IPv6 alone: both sockets could not
 * exist otherwise.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID for the first entry that is wrong
 */
export function parseListenAddresses(text: string): readonly ListenAddress[] {
  const entries = text.split(',').map((entry) => entry.trim())
  if (entries.length > MAX_ADDRESSES) {
    refuser(text)(`${entries.length} addresses are listed, at most ${MAX_ADDRESSES} are allowed`)
  }
  return separateFamilies(entries.map(parseListenAddress))
}

/** Makes [::] IPv6 alone where 0.0.0.0 is listed with the same port; returns a new list. */
export function separateFamilies(addresses: readonly ListenAddress[]): readonly ListenAddress[] {
  const ports = new Set(
    addresses.flatMap((one) => (one.kind === 'tcp' && one.host === '0.0.0.0' ? [one.port] : [])),
  )
  return addresses.map((one) =>
    one.kind === 'tcp' && one.host === '::' && ports.has(one.port)
      ? { ...one, family: 'ipv6' }
      : one,
  )
}

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
