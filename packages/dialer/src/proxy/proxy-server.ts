import { formatHostPort } from '@proj/config/address'

import { withoutBrackets } from '../endpoint.ts'
import { checkOptionNames, type OptionNames } from '../option-names.ts'

/** Protocol of a proxy. With `socks4a` and `socks5h` the proxy looks up the name of the target. */
export type ProxyProtocol = 'http' | 'https' | 'socks4' | 'socks4a' | 'socks5' | 'socks5h'

/** A proxy whose credentials do not come from its URL but, for example, from a file. */
export interface ProxySettings {
  /** URL of the proxy. */
  readonly url: string | URL
  /** User name, not percent-encoded, instead of that in the URL. */
  readonly username?: string | undefined
  /** Password, not percent-encoded, instead of that in the URL. */
  readonly password?: string | undefined
}

/** The option `proxy` as an object. */
const PROXY_SETTING_NAMES: OptionNames<ProxySettings> = {
  url: true,
  username: true,
  password: true,
}

/** A proxy. Its text, JSON and inspection never contain the password. */
export class ProxyServer {
  /** Protocol of the proxy. */
  readonly protocol: ProxyProtocol
  /** Name or address, without brackets. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  /** User name; undefined without credentials. */
  readonly username: string | undefined
  readonly #password: string | undefined

  /**
   * Reads a proxy URL. A URL without a scheme is http; `socks` is socks5h. User name and password are
   * percent-decoded.
   * @throws {TypeError} for an address that is not valid; the text never contains credentials
   */
  constructor(settings: string | URL | ProxySettings) {
    const given =
      typeof settings === 'string' || settings instanceof URL ? { url: settings } : settings
    if (!(settings instanceof URL)) checkOptionNames('proxy.', given, PROXY_SETTING_NAMES)
    const url = parseUrl(String(given.url))
    this.protocol = parseProtocol(url)
    this.host = withoutBrackets(url.hostname)
    this.port = url.port === '' ? DEFAULT_PORTS[this.protocol] : Number(url.port)
    const username = given.username ?? decode(url.username)
    this.#password = given.password ?? decode(url.password)
    this.username = username ?? (this.#password === undefined ? undefined : '')
    if (this.host === '' || this.port === 0) {
      throw new TypeError('proxy must have a host, and a port that is not 0')
    }
    if (this.protocol.startsWith('socks')) this.#checkSocks()
  }

  /** The password, not percent-encoded. */
  get password(): string | undefined {
    return this.#password
  }

  /** Whether the proxy looks up the name of the target. */
  get resolvesNames(): boolean {
    return this.protocol !== 'socks4' && this.protocol !== 'socks5'
  }

  /** Value of Proxy-Authorization for the Basic scheme (RFC 7617); undefined without credentials. */
  basicAuthorization(): string | undefined {
    if (this.username === undefined) return undefined
    const pair = `${this.username}:${this.#password ?? ''}`
    return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`
  }

  /** Returns the URL with the password masked. */
  toString(): string {
    const user = this.username === undefined ? '' : `${encodeURIComponent(this.username)}:***@`
    return `${this.protocol}://${user}${formatHostPort(this.host, this.port)}`
  }

  /** Same as toString. */
  toJSON(): string {
    return this.toString()
  }

  /** RFC 1929 has one byte for the length of user name and password. SOCKS4 ends the user name with a zero byte. */
  #checkSocks(): void {
    const four = this.protocol.startsWith('socks4')
    if (four && this.#password !== undefined && this.#password !== '') {
      throw new TypeError('proxy: SOCKS4 has a user name but no password')
    }
    if (Buffer.byteLength(this.username ?? '') > 255) {
      throw new TypeError('proxy: SOCKS allows at most 255 bytes of user name')
    }
    if (Buffer.byteLength(this.#password ?? '') > 255) {
      throw new TypeError('proxy: SOCKS allows at most 255 bytes of password')
    }
    if (four && this.username?.includes('\0') === true) {
      throw new TypeError('proxy: a SOCKS4 user name cannot contain a zero byte')
    }
  }
}

const DEFAULT_PORTS: Readonly<Record<ProxyProtocol, number>> = {
  http: 80,
  https: 443,
  // RFC 1928 section 3
  socks4: 1080,
  socks4a: 1080,
  socks5: 1080,
  socks5h: 1080,
}

function parseUrl(text: string): URL {
  // "proxy:3128" is a valid URL of the scheme "proxy", so a missing scheme is added first.
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  let url: URL
  try {
    url = new URL(withScheme)
  } catch {
    throw new TypeError('proxy is not a URL of the form http://user:password@host:port')
  }
  if (url.protocol.startsWith('pac+') || url.pathname.toLowerCase().endsWith('.pac')) {
    throw new TypeError(
      'proxy is a PAC script: set the proxy that it returns, or a function that evaluates it',
    )
  }
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    throw new TypeError('proxy must have no path, query or fragment')
  }
  return url
}

function parseProtocol(url: URL): ProxyProtocol {
  const scheme = url.protocol.slice(0, -1)
  if (scheme === 'socks') return 'socks5h'
  if (Object.hasOwn(DEFAULT_PORTS, scheme)) return scheme as ProxyProtocol
  const known = Object.keys(DEFAULT_PORTS).join(', ')
  throw new TypeError(`proxy has the unknown scheme ${scheme}; use one of ${known}`)
}

function decode(text: string): string | undefined {
  if (text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError('proxy: percent-encode special characters in user name and password')
  }
}
