/**
 * The Host grammar, narrower than RFC 3986: a name of letters, digits, `-`, `.` and `_`, an IPv4
 * address, or an IPv6 address in brackets, then an optional port. User information, lists, percent
 * escapes and raw international names are refused: routing, authorisation and the service must
 * read the same name out of it.
 */

import { isIPv4, isIPv6 } from 'node:net'
import { classOf, isAllOf } from './byte-class.ts'
import { isDecimal } from './character-classes.ts'

const HOST_NAME: Uint8Array = classOf('-._')

// RFC 1035 section 2.3.4, plus the final dot.
const MAX_NAME_LENGTH = 254

/** A host taken apart. */
export interface HostParts {
  /** Name or address in lower case, without brackets, port and final dot. */
  readonly name: string
  /** Port, or undefined when absent or empty. */
  readonly port: number | undefined
  /** Whether the name ended with the dot that marks it as complete. */
  readonly hasFinalDot: boolean
  /** Whether the name is an IPv4 or IPv6 address. */
  readonly isAddress: boolean
}

/** Tells whether the text is a host with an optional port. Allocates nothing for names. */
export function isValidHost(host: string): boolean {
  const nameEnd = endOfName(host)
  if (nameEnd <= 0 || nameEnd > MAX_NAME_LENGTH || !isPort(host, nameEnd)) return false
  if (host.charCodeAt(0) === 0x5b) return isBracketedAddress(host, nameEnd)
  // A leading dot would make the first label empty.
  return isAllOf(HOST_NAME, host, 0, nameEnd) && host.charCodeAt(0) !== 0x2e
}

/** Takes a host apart; undefined if it is not valid. */
export function parseHost(host: string): HostParts | undefined {
  if (!isValidHost(host)) return undefined
  const nameEnd = endOfName(host)
  const digits = host.slice(nameEnd + 1)
  const port = digits === '' ? undefined : Number(digits)
  if (host.startsWith('[')) {
    const address = host.slice(1, nameEnd - 1).toLowerCase()
    return { name: address, port, hasFinalDot: false, isAddress: true }
  }
  const hasFinalDot = host[nameEnd - 1] === '.'
  const name = host.slice(0, hasFinalDot ? nameEnd - 1 : nameEnd).toLowerCase()
  return { name, port, hasFinalDot, isAddress: isIPv4(name) }
}

/** Tells whether two valid hosts name the same authority under a scheme's default port. */
export function isSameAuthority(left: string, right: string, defaultPort: number): boolean {
  const a = parseHost(left)
  const b = parseHost(right)
  if (a === undefined || b === undefined) return false
  return a.name === b.name && (a.port ?? defaultPort) === (b.port ?? defaultPort)
}

function endOfName(host: string): number {
  if (host.charCodeAt(0) === 0x5b) return host.indexOf(']') + 1
  const colon = host.indexOf(':')
  return colon === -1 ? host.length : colon
}

function isPort(host: string, nameEnd: number): boolean {
  if (nameEnd === host.length) return true
  if (host.charCodeAt(nameEnd) !== 0x3a || host.length - nameEnd > 6) return false
  return isDecimal(host, nameEnd + 1) && Number(host.slice(nameEnd + 1)) <= 65_535
}

function isBracketedAddress(host: string, nameEnd: number): boolean {
  const address = host.slice(1, nameEnd - 1)
  // isIPv6 takes zone ids, which mean nothing to anybody but the sender.
  return !address.includes('%') && isIPv6(address)
}
