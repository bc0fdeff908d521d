/**
 * IP addresses of peers. One address has many spellings: with a port, in brackets, with the zone of an
 * interface, as IPv4 mapped into IPv6 (RFC 4291 section 2.5.5.2), which is how a dual-stack socket
 * reports an IPv4 client. A rule or a limit that sees two spellings of one address misses one of them.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'

/**
 * Returns the address without port, brackets and zone, and an IPv4 address mapped into IPv6 as IPv4.
 *
 * @returns undefined when the text holds no IP address
 */
export function plainAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1]
  const withoutPort = bracketed ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text
  const zone = withoutPort.indexOf('%')
  const address = zone === -1 ? withoutPort : withoutPort.slice(0, zone)
  return isIP(address) === 0 ? undefined : unmapIPv4(address)
}

/** Writes an IPv4 address mapped into IPv6 as IPv4, in any spelling; returns any other text as it is. */
export function unmapIPv4(address: string): string {
  if (!/ffff:/i.test(address) || !isIPv6(address)) return address
  const groups = ipv6Groups(address)
  if (groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return address
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/**
 * Returns the eight groups of 16 bits of an IPv6 address.
 *
 * @param address - one that `net.isIPv6` accepts; a zone is left out
 */
export function ipv6Groups(address: string): readonly number[] {
  const [bare = ''] = address.split('%', 1)
  const [head = '', tail] = bare.split('::')
  const before = groupsOf(head)
  if (tail === undefined) return before
  const after = groupsOf(tail)
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

/**
 * What an address is counted as: itself for IPv4, also when written as IPv6; its /64 for IPv6; the same
 * for everything that is no address, such as the peers of a unix socket.
 */
export function sourceOf(address: string | undefined): string {
  const plain = address === undefined ? undefined : plainAddress(address)
  if (plain === undefined) return ''
  if (isIPv4(plain)) return plain
  const half = ipv6Groups(plain).slice(0, 4)
  return `${half.map((group) => group.toString(16)).join(':')}::/64`
}

/**
 * Tells whether a host is this machine and nothing else: `localhost`, 127.0.0.0/8 or ::1, also with
 * brackets, port or zone, and as IPv4 mapped into IPv6.
 */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const address = plainAddress(host)
  if (address === undefined) return false
  if (isIPv4(address)) return address.startsWith('127.')
  return ipv6Groups(address).every((group, index) => group === (index === 7 ? 1 : 0))
}

/** Tells whether an address is `0.0.0.0` or `::`: every address to listen on, any source to connect from. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}

/** Tells whether an address is valid on one link only: fe80::/10 (RFC 4291) or 169.254.0.0/16 (RFC 3927). */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/i.test(address) || address.startsWith('169.254.')
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}
