import { formatHostPort } from '@proj/config/address'

/** How to speak to a proxy. `socks4a` and `socks5h` leave the lookup of the target to the proxy. */
export type ProxyProtocol = 'http' | 'https' | 'socks4' | 'socks4a' | 'socks5' | 'socks5h'

/** A proxy whose credentials come from another place than its URL, such as a file. */
export interface ProxySettings {
  /** URL of the proxy. */
  readonly url: string | URL
  /** User name, plain, in place of that in the URL. */
  readonly username?: string | undefined
  /** Password, plain, in place of that in the URL. */
  readonly password?: string | undefined
}

/** A proxy to dial through. Its text, JSON and inspection never show the password. */
export class ProxyServer {
  /** How to speak to it. */
  readonly protocol: ProxyProtocol
  /** Name or address, without brackets. */
  readonly host: string
  /** 1 to 65535. */
  readonly port: number
  /** User name; undefined without credentials. */
  readonly username: string | undefined
  readonly #password: string | undefined

  /**
   * Reads a proxy URL. Without a scheme it means http; `socks` means socks5h. User name and
   * password are percent-decoded.
   * @throws {TypeError} for an address that cannot be used; the text never holds credentials
   */
  constructor(settings: string | URL | ProxySettings) {
    const given =
      typeof settings === 'string' || settings instanceof URL ? { url: settings } : settings
    const url = parseUrl(String(given.url))
    this.protocol = parseProtocol(url)
    this.host = url.hostname.replace(/^\[(.*)\]$/, '$1')
    this.port = url.port === '' ? DEFAULT_PORTS[this.protocol] : Number(url.port)
    const username = given.username ?? decode(url.username)
    this.#password = given.password ?? decode(url.password)
    this.username = username ?? (this.#password === undefined ? undefined : '')
    if (this.host === '' || this.port === 0) {
      throw new TypeError('proxy must name a host and a port other than 0')
    }
    if (this.protocol.startsWith('socks')) this.#checkSocks()
  }

  /** The password, plain. */
  get password(): string | undefined {
    return this.#password
  }

  /** Whether the proxy looks the target's name up. */
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

  /** RFC 1929: one byte counts the user name, one the password. SOCKS4 ends its user with a zero. */
  #checkSocks(): void {
    const four = this.protocol.startsWith('socks4')
    if (four && this.#password !== undefined && this.#password !== '') {
      throw new TypeError('proxy: SOCKS4 knows a user name, but no password')
    }
    if (Buffer.byteLength(this.username ?? '') > 255) {
      throw new TypeError('proxy: SOCKS allows at most 255 bytes of user name')
    }
    if (Buffer.byteLength(this.#password ?? '') > 255) {
      throw new TypeError('proxy: SOCKS allows at most 255 bytes of password')
    }
    if (four && this.username?.includes('\0') === true) {
      throw new TypeError('proxy: a SOCKS4 user name cannot hold a zero byte')
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
  // "proxy:3128" is a valid URL of the scheme "proxy", so the missing scheme is looked for first.
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  let url: URL
  try {
    url = new URL(withScheme)
  } catch {
    throw new TypeError('proxy is not a URL of the form http://user:password@host:port')
  }
  if (url.protocol.startsWith('pac+') || url.pathname.toLowerCase().endsWith('.pac')) {
    throw new TypeError('proxy is a PAC script; set the proxy that the script chooses')
  }
  if ((url.pathname !== '' && url.pathname !== '/') || url.search !== '' || url.hash !== '') {
    throw new TypeError('proxy must end after host and port')
  }
  return url
}

function parseProtocol(url: URL): ProxyProtocol {
  const scheme = url.protocol.slice(0, -1)
  if (scheme === 'socks') return 'socks5h'
  if (Object.hasOwn(DEFAULT_PORTS, scheme)) return scheme as ProxyProtocol
  const known = Object.keys(DEFAULT_PORTS).join(', ')
  throw new TypeError(`proxy has the unknown scheme ${scheme}; known are ${known}`)
}

function decode(text: string): string | undefined {
  if (text === '') return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError('proxy: percent-encode special characters of user name and password')
  }
}
