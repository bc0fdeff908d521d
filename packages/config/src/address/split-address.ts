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

import { ConfigError, isConfigError } from '../errors.ts'
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

/** A host and port taken apart, before it is known what they are for. */
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

/** The texts that errors tell to write. */
const CORRECTIONS = new WeakMap<Error, string>()

/** Makes the function that refuses `text`, quoting it. */
export function refuser(text: string): Refuse {
  return (reason, advice) => {
    const write = typeof advice === 'object' ? advice.write : undefined
    const hint = typeof advice === 'object' ? `write ${advice.write}` : advice
    const error = new ConfigError(
      'CONFIG_ADDRESS_INVALID',
      `address ${quote(text)}: ${reason}`,
      hint === undefined ? {} : { hint },
    )
    if (write !== undefined) CORRECTIONS.set(error, write)
    throw error
  }
}

// A text has seldom more than two mistakes; each step corrects one.
const MAX_CORRECTIONS = 4

/**
 * Reads a text, and makes sure that the text in a hint is accepted: one that has a further mistake is
 * corrected again, and without an accepted text there is no hint.
 */
export function withUsefulHint<T>(text: string, read: (text: string) => T): T {
  try {
    return read(text)
  } catch (error) {
    if (!isConfigError(error) || !CORRECTIONS.has(error)) throw error
    const { code, message } = error
    const correct = correction(error, read)
    throw new ConfigError(code, message, correct === undefined ? {} : { hint: `write ${correct}` })
  }
}

/** Adds what stood before a part of the text to the correction of this part. */
export function withPrefix<T>(prefix: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    const write = error instanceof Error ? CORRECTIONS.get(error) : undefined
    if (write === undefined || !isConfigError(error)) throw error
    const hint = `write ${prefix}${write}`
    const whole = new ConfigError(error.code, error.message, { hint })
    CORRECTIONS.set(whole, prefix + write)
    throw whole
  }
}

function correction(first: Error, read: (text: string) => unknown): string | undefined {
  let write = CORRECTIONS.get(first)
  for (let step = 0; step < MAX_CORRECTIONS && write !== undefined; step += 1) {
    try {
      read(write)
      return write
    } catch (error) {
      write = error instanceof Error ? CORRECTIONS.get(error) : undefined
    }
  }
  return undefined
}

/**
 * Splits an address into its parts, refusing everything that has more than one reading.
 *
 * @param missingPort - what the right form of a text without a port needs: `:8080`, or nothing
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID
 */
export function splitAddress(text: string, missingPort: string): UnixAddress | HostAndPort {
  const refuse = refuser(text)
  if (text === '') refuse('it is empty', 'write host:port, such as localhost:8080')
  if (text.startsWith('unix:')) return unixAddress(text.slice(5), refuse)
  if (/[\s\p{Cc}]/u.test(text)) refuse('it contains a space or a control character')
  const [, scheme = 'tcp', rest = text] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/.exec(text) ?? []
  if (!['tcp', 'tcp4', 'tcp6'].includes(scheme)) {
    const bare = rest.replace(/[/?#].*$/, '').replace(/^.*@/, '')
    const usual = DEFAULT_PORTS[scheme.toLowerCase()]
    const port = usual === undefined || missingPort === '' ? missingPort : `:${usual}`
    refuse('a URL is not expected here', bare === '' ? undefined : { write: withPort(bare, port) })
  }
  if (rest.includes('@')) refuse('a user name is not allowed', 'write only host:port')
  const path = /[/?#\\]/.exec(rest)
  if (path) {
    const host = rest.slice(0, path.index)
    const right = /^\.{0,2}$/.test(host) ? `unix:${rest}` : withPort(host, missingPort)
    refuse('a path is not allowed', { write: right })
  }
  const { hostText, bracketed, portText } = splitPort(rest, refuse)
  const port = portText === undefined ? undefined : tryParsePort(portText)
  if (portText !== undefined && port === undefined) {
    refuse(`${quote(portText)} is not a port`, 'a port is a whole number from 0 to 65535')
  }
  const star = hostText === '*'
  return {
    forced: scheme === 'tcp4' ? 'ipv4' : scheme === 'tcp6' ? 'ipv6' : undefined,
    host:
      star || hostText === undefined
        ? undefined
        : parseHost(
            hostText,
            bracketed,
            refuse,
            portText === undefined ? missingPort : `:${portText}`,
          ),
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

/** Ports of the URLs that are most often pasted. */
const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, ws: 80, wss: 443 }

/** Adds a port to a host that has none. */
function withPort(host: string, missingPort: string): string {
  return /(?:^|[^:]|\]):\d+$/.test(host) || /^\d+$/.test(host) ? host : `${host}${missingPort}`
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
  const [only = ''] = forms
  const hint = forms.length === 1 ? { write: only } : `write ${forms.join(' or ')}`
  return refuse('an IPv6 address is written in brackets', hint)
}

function unixAddress(path: string, refuse: Refuse): UnixAddress {
  if (path === '') refuse('the path is missing', { write: 'unix:/run/adit.sock' })
  if (path.includes('\0')) refuse('the path contains a NUL byte')
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_UNIX_PATH_BYTES) {
    refuse(`the path has ${bytes} bytes, a socket path has at most ${MAX_UNIX_PATH_BYTES}`)
  }
  return { kind: 'unix', path }
}
