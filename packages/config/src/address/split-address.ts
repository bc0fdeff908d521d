/**
 * One grammar for addresses, used in flags, files, environment, logs and messages:
 *
 *   address  = [ scheme "://" ] [ host ] ":" port | port | "unix:" path | "fd:" number
 *   scheme   = "tcp" | "tcp4" | "tcp6"
 *   host     = "*" | "localhost" | IPv4 | "[" IPv6 [ "%" zone ] "]" | name
 *
 * This file splits the text and writes it back; what a host or a missing host means is decided by
 * the readers for listening, dialling and source addresses. Parsing is pure: no DNS, no files.
 */
import { isIPv6 } from 'node:net'

import { ConfigError } from '../errors.ts'
import { type Host, parseHost, type Refuse } from './host.ts'
import { tryParsePort } from './port.ts'
import { quote } from '../printing/printable.ts'

/** Longest path of a unix socket in bytes: `sun_path` of Linux without its final NUL. */
const MAX_UNIX_PATH_BYTES = 107

/** A unix domain socket, written `unix:/path`. */
export interface UnixAddress {
  /** Tells the kinds of address apart. */
  readonly kind: 'unix'
  /** Path as written; a relative one is relative to the working directory. At most 107 bytes. */
  readonly path: string
}

/** A host and port taken apart, before anyone said what they are for. */
export interface HostAndPort {
  /** Family forced by `tcp4://` or `tcp6://`. */
  readonly forced: 'ipv4' | 'ipv6' | undefined
  /** The host; undefined when nothing or `*` stood there. */
  readonly host: Host | undefined
  /** Whether `*` stood there. */
  readonly star: boolean
  /** The port, 0 to 65535; undefined when none stood there. */
  readonly port: number | undefined
}

/** Makes the function that refuses `text`, quoting it. */
export function refuser(text: string): Refuse {
  return (reason, hint) => {
    throw new ConfigError(
      'CONFIG_ADDRESS_INVALID',
      `address ${quote(text)}: ${reason}`,
      hint === undefined ? {} : { hint },
    )
  }
}

/**
 * Splits an address into its parts, refusing everything that has more than one reading.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID
 */
export function splitAddress(text: string): UnixAddress | HostAndPort {
  const refuse = refuser(text)
  if (text === '') refuse('it is empty', 'write host:port, such as localhost:8080')
  if (text.startsWith('unix:')) return unixAddress(text.slice(5), refuse)
  if (/[\s\p{Cc}]/u.test(text)) refuse('it contains a space or a control character')
  const [, scheme = 'tcp', rest = text] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/.exec(text) ?? []
  if (!['tcp', 'tcp4', 'tcp6'].includes(scheme)) {
    const bare = rest.replace(/[/?#].*$/, '').replace(/^.*@/, '')
    refuse('a URL is not expected here', bare === '' ? undefined : `write ${bare}`)
  }
  if (rest.includes('@')) refuse('a user name is not allowed', 'write only host:port')
  const path = /[/?#\\]/.exec(rest)
  if (path) refuse('a path is not allowed', `write ${rest.slice(0, path.index)}`)
  const { hostText, bracketed, portText } = splitPort(rest, refuse)
  const port = portText === undefined ? undefined : tryParsePort(portText)
  if (portText !== undefined && port === undefined) {
    refuse(`${quote(portText)} is not a port`, 'a port is a whole number from 0 to 65535')
  }
  const star = hostText === '*'
  return {
    forced: scheme === 'tcp4' ? 'ipv4' : scheme === 'tcp6' ? 'ipv6' : undefined,
    host: star || hostText === undefined ? undefined : parseHost(hostText, bracketed, refuse),
    star,
    port,
  }
}

/**
 * Writes host and port as this grammar reads them: IPv6 always in brackets, zone kept.
 *
 * @param host - an IP literal without brackets, a name, or `*`
 * @param port - 0 to 65535
 */
export function formatHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

interface Split {
  hostText: string | undefined
  bracketed: boolean
  portText: string | undefined
}

function splitPort(text: string, refuse: Refuse): Split {
  const bracket = /^\[([^\]]*)\](?::(.*))?$/.exec(text)
  if (bracket) return { hostText: bracket[1] ?? '', bracketed: true, portText: bracket[2] }
  if (/[[\]]/.test(text)) refuse('the brackets do not match', 'write [::1]:8080')
  if (/^[0-9]+$/.test(text)) return { hostText: undefined, bracketed: false, portText: text }
  const colon = text.indexOf(':')
  if (colon === -1) return { hostText: text, bracketed: false, portText: undefined }
  if (colon !== text.lastIndexOf(':')) refuseBareIPv6(text, refuse)
  return {
    hostText: colon === 0 ? undefined : text.slice(0, colon),
    bracketed: false,
    portText: text.slice(colon + 1),
  }
}

/** `2001:db8::1:8080` is a valid address as a whole, so it is not known whether 8080 is a port. */
function refuseBareIPv6(text: string, refuse: Refuse): never {
  const last = text.lastIndexOf(':')
  const [address, port] = [text.slice(0, last), text.slice(last + 1)]
  const forms: string[] = []
  if (isIPv6(address) && tryParsePort(port) !== undefined) forms.push(`[${address}]:${port}`)
  if (isIPv6(text)) forms.push(`[${text}]:8080`)
  if (forms.length === 0) return refuse('it has more than one colon', 'write host:port')
  return refuse('an IPv6 address is written in brackets', `write ${forms.join(' or ')}`)
}

function unixAddress(path: string, refuse: Refuse): UnixAddress {
  if (path === '') refuse('the path is missing', 'write unix:/run/adit.sock')
  if (path.includes('\0')) refuse('the path contains a NUL byte')
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_UNIX_PATH_BYTES) {
    refuse(`the path has ${bytes} bytes, a socket path has at most ${MAX_UNIX_PATH_BYTES}`)
  }
  return { kind: 'unix', path }
}
