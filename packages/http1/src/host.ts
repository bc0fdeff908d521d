/**
 * The grammar of Host, narrower than RFC 3986: a name of letters, digits, `-`, `.` and `_`, an IPv4
 * address, or an IPv6 address in brackets, then an optional port. User information, lists, percent
 * escapes and international names that are not in ASCII are rejected: routing, authorisation and the
 * service must all read the same name.
 */

import { isIPv4, isIPv6 } from 'node:net'
import { parseDecimal, tableOf } from './ascii.ts'

const DOT = 0x2e
const COLON = 0x3a
const BRACKET = 0x5b
const HOST_NAME: Uint8Array = tableOf('-._')

// RFC 1035 section 2.3.4, plus the final dot.
const MAX_NAME_LENGTH = 254

/** The parts of a host. */
export interface HostParts {
  /** Name or address in lower case, without brackets, port and final dot. */
  readonly name: string
  /** Port, or undefined when absent or empty. */
  readonly port: number | undefined
  /** Whether the name ended with a dot, which marks it as complete. */
  readonly hasFinalDot: boolean
  /** Whether the name is an IPv4 or IPv6 address. */
  readonly isAddress: boolean
}

/** The parts of the host that a request does not name. */
export const NO_HOST: HostParts = Object.freeze({
  name: '',
  port: undefined,
  hasFinalDot: false,
  isAddress: false,
})

/** Returns the parts of a host; undefined if it is not valid. */
export function parseHost(host: string): HostParts | undefined {
  return host.charCodeAt(0) === BRACKET ? bracketedParts(host) : nameParts(host)
}

/** Tells whether two hosts have the same name and port; a host without a port has the default port. */
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
  // isIPv6 accepts zone ids, which have a meaning on the sender's host only.
  if (address.includes('%') || !isIPv6(address)) return undefined
  const port = portOf(host, end)
  if (port === false) return undefined
  return { name: address.toLowerCase(), port, hasFinalDot: false, isAddress: true }
}

/** Reads the port from start on: undefined for none, false for text that is not a port. */
function portOf(host: string, start: number): number | undefined | false {
  const end = host.length
  if (start === end) return undefined
  if (host.charCodeAt(start) !== COLON || end - start > 6) return false
  const port = parseDecimal(host, start + 1, end)
  if (port === undefined || port > 65_535) return false
  return start + 1 === end ? undefined : port
}

/** A cheap test before isIPv4: every IPv4 address ends in a digit, and few names do. */
function endsInDigit(name: string): boolean {
  const code = name.charCodeAt(name.length - 1)
  return code >= 0x30 && code <= 0x39
}
