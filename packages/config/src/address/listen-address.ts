import { isLoopback } from './ip-address.ts'
import {
  formatHostPort,
  type HostAndPort,
  refuser,
  splitAddress,
  type UnixAddress,
  withUsefulHint,
} from './split-address.ts'
import { type HostKind, parseHost, type Refuse } from './host.ts'

/** A TCP address to listen on. */
export interface TcpListenAddress {
  /** Tells the kinds of address apart. */
  readonly kind: 'tcp'
  /**
   * `*` for every address of this machine, `localhost` for both loopback addresses, a canonical IP
   * literal without brackets (zone kept), or a name in lower case.
   */
  readonly host: string
  /** What `host` is; `any` is the `*`. */
  readonly hostKind: HostKind | 'any'
  /**
   * Which families may be bound. `both` for `*`, `localhost` and names, and for `[::]`, where it
   * means one socket that takes IPv4 too; `tcp6://[::]:8080` takes IPv6 alone.
   */
  readonly family: 'both' | 'ipv4' | 'ipv6'
  /** 0 to 65535; 0 lets the system choose. */
  readonly port: number
}

/** A listening socket that another process opened and handed over, written `fd:3`. */
export interface FdAddress {
  /** Tells the kinds of address apart. */
  readonly kind: 'fd'
  /** Number of the file descriptor, 3 or higher. */
  readonly fd: number
}

/** An address to listen on: TCP, a unix socket, or an inherited descriptor. */
export type ListenAddress = TcpListenAddress | UnixAddress | FdAddress

/**
 * Reads an address to listen on.
 *
 * `8080`, `:8080` and `*:8080` are every address of the machine in both families. `localhost:8080`
 * is both loopback addresses. `tcp4://` and `tcp6://` in front, or `?v6only=1` after `[::]:8080`,
 * force one family.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID, its hint shows the right form
 */
export function parseListenAddress(text: string): ListenAddress {
  return withUsefulHint(text, readListenAddress)
}

function readListenAddress(text: string): ListenAddress {
  const refuse = refuser(text)
  if (text.startsWith('fd:')) return fdAddress(text.slice(3), refuse)
  if (text.startsWith('systemd:')) {
    refuse('sockets of systemd are not taken by name', 'write fd:3 for the first one')
  }
  const [, base = text, v6only] = /^(.*)\?v6only=([01])$/.exec(text) ?? []
  const parts = splitAddress(base, ':8080')
  if ('kind' in parts) return parts
  if (v6only !== undefined && parts.host?.host !== '::') {
    refuse('v6only applies to [::] alone', { write: base })
  }
  if (parts.port === undefined) {
    const host = parts.star ? '*' : formatHostPort(parts.host?.host ?? '', 8080).slice(0, -5)
    refuse('the port is missing', { write: `${host}:8080` })
  }
  return tcpAddress({ ...parts, forced: v6only === '1' ? 'ipv6' : parts.forced }, refuse)
}

/**
 * Reads a host to listen on whose port is not known yet: `*`, an IP address with or without brackets,
 * `localhost`, or a name.
 *
 * @returns the canonical host without brackets
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID
 */
export function parseBindHost(text: string): string {
  return withUsefulHint(text, readBindHost)
}

function readBindHost(text: string): string {
  if (text === '*') return text
  const refuse = refuser(text)
  if (text === '') refuse('it is empty', 'write * for every address')
  if (/[\s\p{Cc}]/u.test(text)) refuse('it contains a space or a control character')
  const [, host = text, port] = /^(\[[^\]]*\]|[^:]*):([0-9]+)$/.exec(text) ?? []
  if (port !== undefined) {
    refuse('a port is not expected here', { write: host === '' ? '*' : host })
  }
  const inside = /^\[(.*)\]$/.exec(text)?.[1]
  return parseHost(inside ?? text, inside !== undefined, refuse).host
}

/** Writes an address so that {@link parseListenAddress} gives the same one back. */
export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`
  if (address.kind === 'fd') return `fd:${address.fd}`
  // `*:8080` would be an alias in a YAML file, so the canonical form has no host at all.
  if (address.hostKind === 'any') return `:${address.port}`
  const text = formatHostPort(address.host, address.port)
  if (address.hostKind === 'name' && address.family === 'ipv4') return `tcp4://${text}`
  const forced = address.hostKind === 'name' || address.host === '::'
  return forced && address.family === 'ipv6' ? `tcp6://${text}` : text
}

/**
 * Tells whether only programs of this machine can connect to an address. A name other than `localhost`
 * can be answered with any address, and an inherited socket can be bound anywhere: both count as
 * reachable.
 */
export function isLoopbackBind(address: ListenAddress): boolean {
  if (address.kind !== 'tcp') return address.kind === 'unix'
  return isLoopback(address.host)
}

function fdAddress(text: string, refuse: Refuse): FdAddress {
  if (!/^([3-9]|[1-9][0-9]{1,4})$/.test(text)) {
    refuse('a file descriptor is a number from 3 to 99999', 'write fd:3')
  }
  return { kind: 'fd', fd: Number(text) }
}

function tcpAddress(parts: HostAndPort, refuse: Refuse): TcpListenAddress {
  const { forced, host, port = 0 } = parts
  if (host === undefined) {
    if (forced === 'ipv4') {
      return { kind: 'tcp', host: '0.0.0.0', hostKind: 'ipv4', family: 'ipv4', port }
    }
    if (forced === 'ipv6') {
      return { kind: 'tcp', host: '::', hostKind: 'ipv6', family: 'ipv6', port }
    }
    return { kind: 'tcp', host: '*', hostKind: 'any', family: 'both', port }
  }
  if (host.hostKind === 'localhost' && forced !== undefined) {
    const loopback = forced === 'ipv4' ? '127.0.0.1' : '::1'
    return { kind: 'tcp', host: loopback, hostKind: forced, family: forced, port }
  }
  if (host.hostKind === 'ipv4' || host.hostKind === 'ipv6') {
    if (forced !== undefined && forced !== host.hostKind) {
      refuse(`it forces ${forced} and names an ${host.hostKind} address`, 'drop the scheme')
    }
    const dual = host.host === '::' && forced === undefined
    return { kind: 'tcp', ...host, family: dual ? 'both' : host.hostKind, port }
  }
  return { kind: 'tcp', ...host, family: forced ?? 'both', port }
}
