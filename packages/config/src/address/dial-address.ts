import {
  formatHostPort,
  refuser,
  splitAddress,
  type UnixAddress,
  withUsefulHint,
} from './split-address.ts'
import type { HostKind } from './host.ts'

/** A TCP address to connect to. */
export interface TcpDialAddress {
  /** Tells the kinds of address apart. */
  readonly kind: 'tcp'
  /** Canonical IP literal without brackets (zone kept), `localhost`, or a name in lower case. */
  readonly host: string
  /** What `host` is. `localhost` means both loopback addresses. */
  readonly hostKind: HostKind
  /** Which families may be tried; one of them for an IP literal or after `tcp4://`, `tcp6://`. */
  readonly family: 'both' | 'ipv4' | 'ipv6'
  /** 1 to 65535. */
  readonly port: number
}

/** Where to connect to. */
export type DialAddress = TcpDialAddress | UnixAddress

/** Options of {@link parseDialAddress}. */
export interface DialAddressOptions {
  /** Port when the text has none, 1 to 65535. Without it a missing port is an error. */
  readonly defaultPort?: number
}

/**
 * Reads an address to connect to. A port alone, `3000` or `:3000`, is that port of `localhost`.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID, its hint shows the right form; also for port 0 and
 *   for wildcards, which one can listen on and not connect to
 */
export function parseDialAddress(text: string, options: DialAddressOptions = {}): DialAddress {
  return withUsefulHint(text, (one) => readDialAddress(one, options))
}

/** Reads a dial address; the text in a hint may have a further mistake. */
export function readDialAddress(text: string, options: DialAddressOptions): DialAddress {
  const refuse = refuser(text)
  const parts = splitAddress(text, options.defaultPort === undefined ? ':8080' : '')
  if ('kind' in parts) return parts
  const port = parts.port ?? options.defaultPort
  const host = parts.host ?? ({ host: 'localhost', hostKind: 'localhost' } as const)
  if (port === undefined) {
    refuse('the port is missing', { write: formatHostPort(host.host, 8080) })
  } else if (port === 0) refuse('port 0 cannot be connected to')
  if (parts.star || host.host === '0.0.0.0' || host.host === '::') {
    refuse('a wildcard cannot be connected to', {
      write: formatHostPort(parts.host?.host === '::' ? '::1' : 'localhost', port ?? 8080),
    })
  }
  const literal = host.hostKind === 'ipv4' || host.hostKind === 'ipv6' ? host.hostKind : undefined
  if (literal !== undefined && parts.forced !== undefined && literal !== parts.forced) {
    refuse(`it forces ${parts.forced} and names an ${literal} address`, 'drop the scheme')
  }
  return { kind: 'tcp', ...host, family: literal ?? parts.forced ?? 'both', port: port ?? 0 }
}

/** Writes an address so that {@link parseDialAddress} gives the same one back. */
export function formatDialAddress(address: DialAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  const text = formatHostPort(address.host, address.port)
  if (address.hostKind === 'ipv4' || address.hostKind === 'ipv6') return text
  if (address.family === 'both') return text
  return address.family === 'ipv4' ? `tcp4://${text}` : `tcp6://${text}`
}
