// A function that chooses the proxy, and the form of its answers: that of FindProxyForURL in PAC scripts,
// so that the result of a PAC library can be returned as it is.

import { formatHostPort } from '@proj/config/address'

import type { ProxySelection, RouteScheme } from './environment.ts'
import { ProxyServer } from './proxy-server.ts'

/**
 * Chooses the proxies for one target; the option `proxy` takes it. Called for each dial.
 * @param url - the target with an empty path, such as `https://example.com/`: the scheme is http, https,
 * ws, wss, or tcp for a connection without TLS; `https` is also that of `dial` with TLS
 * @param host - host of the target, without brackets
 * @param signal - aborts when the dial ends, or when `timeouts.proxyMs` is over; at once for the first request
 * without TLS, which asks before its dial does and cannot wait for a Promise
 */
export type FindProxy = (
  url: string,
  host: string,
  signal: AbortSignal,
) => FoundProxies | Promise<FoundProxies>

/**
 * The answer of a {@link FindProxy}. Text is that of a PAC script, `PROXY a:3128; SOCKS5 b:1080; DIRECT`,
 * or URLs of proxies, with `;` between them; no text means a direct connection. The next entry, of at
 * most eight, is used when a proxy cannot be reached.
 */
export type FoundProxies =
  | string
  | undefined
  | {
      /** The text. */
      readonly proxies: string | undefined
      /** Where it comes from, for reports. */
      readonly from: string
      /** Settings that may be a mistake. */
      readonly warnings?: readonly string[]
    }

/** Most entries of an answer that are used. */
const MAX_ENTRIES = 8

/** Most answers of one function that are remembered, so that each proxy stays one object. */
const MAX_REMEMBERED = 64

const remembered = new WeakMap<FindProxy, Map<string, readonly (ProxyServer | undefined)[]>>()

/** Functions that answer later: they cannot be asked while a request is being made. */
const late = new WeakSet<FindProxy>()

/**
 * Asks the function while a request is being made.
 * @returns undefined when it answers later, throws, or chooses no proxy
 */
export function askAtOnce(
  find: FindProxy,
  scheme: RouteScheme,
  target: { readonly host: string; readonly port: number },
): ProxyServer | undefined {
  if (late.has(find)) return undefined
  try {
    const asked = new AbortController()
    const found = find(urlOf(scheme, target), target.host, asked.signal)
    if (!(found instanceof Promise)) return selectionsOf(find, found)[0]?.proxy
    late.add(find)
    // The dial asks again, and fails with its error.
    found.catch(() => {})
    asked.abort()
    return undefined
  } catch {
    return undefined
  }
}

/** The first argument of a {@link FindProxy}. */
export function urlOf(
  scheme: RouteScheme,
  { host, port }: { readonly host: string; readonly port: number },
): string {
  const protocol = scheme === 'tls' ? 'https' : scheme
  const isDefault = port === DEFAULT_PORTS[protocol]
  const authority = formatHostPort(host, port)
  return `${protocol}://${isDefault ? authority.slice(0, -`:${port}`.length) : authority}/`
}

/** Ports that the URL of a {@link FindProxy} leaves out, by its scheme. */
export const DEFAULT_PORTS: Readonly<Record<string, number>> = {
  http: 80,
  ws: 80,
  https: 443,
  wss: 443,
}

/**
 * Reads an answer.
 * @throws {TypeError} for an entry in another form
 */
export function selectionsOf(find: FindProxy, found: FoundProxies): readonly ProxySelection[] {
  const {
    proxies,
    from = 'the function of the option proxy',
    warnings = [],
  } = typeof found === 'object' && found !== null && 'proxies' in found ? found : { proxies: found }
  // Anything else, such as a URL object, must not become a direct connection.
  if (proxies !== undefined && typeof proxies !== 'string') {
    throw new TypeError('it returned neither text nor undefined')
  }
  return parseRemembered(find, proxies ?? '').map((proxy) => ({ proxy, from, warnings }))
}

function parseRemembered(find: FindProxy, text: string): readonly (ProxyServer | undefined)[] {
  const known = remembered.get(find) ?? new Map<string, readonly (ProxyServer | undefined)[]>()
  remembered.set(find, known)
  const before = known.get(text)
  if (before !== undefined) return before
  const parsed = parseFoundProxies(text)
  if (known.size >= MAX_REMEMBERED) known.clear()
  known.set(text, parsed)
  return parsed
}

/**
 * Reads the text of an answer; undefined stands for a direct connection.
 * @throws {TypeError} for an entry in another form; the text never contains credentials
 */
export function parseFoundProxies(text: string): readonly (ProxyServer | undefined)[] {
  const entries = text.split(';').map((entry) => entry.trim())
  const parsed = entries
    .filter((entry) => entry !== '')
    .slice(0, MAX_ENTRIES)
    .map(parseEntry)
  return parsed.length === 0 ? [undefined] : parsed
}

function parseEntry(entry: string): ProxyServer | undefined {
  if (/^DIRECT$/i.test(entry)) return undefined
  const [, word = '', address = ''] = /^([a-z0-9]+)\s+(\S+)$/i.exec(entry) ?? []
  const scheme = SCHEMES.get(word.toUpperCase())
  if (scheme !== undefined) return new ProxyServer(`${scheme}://${address}`)
  if (/^[a-z0-9]+:\/\//i.test(entry)) return new ProxyServer(entry)
  throw new TypeError(
    'an entry is not DIRECT, PROXY host:port, HTTPS, SOCKS, SOCKS4, SOCKS5 or a URL',
  )
}

/** The words of PAC scripts. SOCKS is SOCKS5 with names looked up by the proxy, as `socks` in a URL. */
const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['PROXY', 'http'],
  ['HTTP', 'http'],
  ['HTTPS', 'https'],
  ['SOCKS', 'socks5h'],
  ['SOCKS4', 'socks4a'],
  ['SOCKS5', 'socks5h'],
])
