/**
 * The Host grammar, narrower than RFC 3986: a name of letters, digits, `-`, `.` and `_`, an IPv4
 * address, or an IPv6 address in brackets, then an optional port. User information, lists, percent
 * escapes and raw international names are refused: routing, authorisation and the service must
 * read the same name out of it.
 */

import { isIPv4, isIPv6 } from 'node:net'
import { classOf } from './byte-class.ts'

const DOT = 0x2e
const COLON = 0x3a
const BRACKET = 0x5b
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

/** Takes a host apart; undefined if it is not valid. */
export function parseHost(host: string): HostParts | undefined {
  return host.charCodeAt(0) === BRACKET ? bracketedParts(host) : nameParts(host)
}

/** Tells whether two hosts name the same authority under a scheme's default port. */
export function isSameAuthority(left: HostParts, right: HostParts, defaultPort: number): boolean {
  return left.name === right.name && (left.port ?? defaultPort) === (right.port ?? defaultPort)
}

function nameParts(host: string): HostParts | undefined {
  let at = 0
  let label = 0
  let hasCapital = false
  for (; at < host.length; at++) {
    const code = host.charCodeAt(at)
    if ((HOST_NAME[code] ?? 0) === 0) break
    if (code === DOT) label = at + 1
    else if (code >= 0x41 && code <= 0x5a) hasCapital = true
  }
  // A leading dot would make the first label empty.
  if (at === 0 || at > MAX_NAME_LENGTH || host.charCodeAt(0) === DOT) return undefined
  const port = portOf(host, at)
  if (port === false) return undefined
  const hasFinalDot = label === at
  const text = host.slice(0, hasFinalDot ? at - 1 : at)
  const name = hasCapital ? text.toLowerCase() : text
  const isAddress = endsInDigit(text) && isIPv4(text)
  return { name, port, hasFinalDot, isAddress }
}

function bracketedParts(host: string): HostParts | undefined {
  const end = host.indexOf(']') + 1
  const address = host.slice(1, Math.max(end - 1, 1))
  // isIPv6 takes zone ids, which mean nothing to anybody but the sender.
  if (address.includes('%') || !isIPv6(address)) return undefined
  const port = portOf(host, end)
  if (port === false) return undefined
  return { name: address.toLowerCase(), port, hasFinalDot: false, isAddress: true }
}

/** Reads the port that stands from start on, undefined for none; false for anything else there. */
function portOf(host: string, start: number): number | undefined | false {
  const end = host.length
  if (start === end) return undefined
  if (host.charCodeAt(start) !== COLON || end - start > 6) return false
  let port = 0
  for (let at = start + 1; at < end; at++) {
    const digit = host.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  if (port > 65_535) return false
  return start + 1 === end ? undefined : port
}

/** Every IPv4 address does, and few names do. */
function endsInDigit(name: string): boolean {
  const code = name.charCodeAt(name.length - 1)
  return code >= 0x30 && code <= 0x39
}
