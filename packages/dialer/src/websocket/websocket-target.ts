import {
  checkHeaders,
  DIAL_OPTION_NAMES,
  type DialOptions,
  type ResolvedDialOptions,
  resolveDialOptions,
} from '../options.ts'
import type { OptionNames } from '../option-names.ts'
import { HTTP_ALPN } from '../tls/options.ts'
import { type Endpoint, checkEndpoint } from '../endpoint.ts'

/** Options of a WebSocket dial, in addition to DialOptions. */
export interface WebSocketDialOptions extends Omit<DialOptions, 'tls'> {
  /** TLS to the server for `wss:`; must not be set for `ws:`. Default: the defaults of TlsOptions. */
  readonly tls?: DialOptions['tls']
  /** Headers of the upgrade request, for the server only. Default: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Subprotocols to offer; the server must choose one of them. Default: none. */
  readonly protocols?: readonly string[] | undefined
}

/** Options of `dialRawWebSocket`. */
export const WEBSOCKET_OPTION_NAMES: OptionNames<WebSocketDialOptions> = {
  ...DIAL_OPTION_NAMES,
  headers: true,
  protocols: true,
}

/** The target of a WebSocket dial after its checks. */
export interface WebSocketTarget {
  readonly url: URL
  readonly endpoint: Endpoint
  readonly scheme: 'ws' | 'wss'
  /** The URL without credentials, query and fragment, for messages. */
  readonly about: string
  readonly headers: Record<string, string>
  readonly protocols: string[]
  readonly resolved: ResolvedDialOptions
}

/**
 * Checks a URL and options. `http:` and `https:` are the same as `ws:` and `wss:`.
 * @throws {TypeError | RangeError} naming the wrong argument, without credentials
 */
export function resolveWebSocket(
  url: string | URL,
  options: WebSocketDialOptions,
): WebSocketTarget {
  const parsed = parseWebSocketUrl(url)
  const secure = parsed.protocol === 'wss:'
  if (secure ? options.tls === false : options.tls !== undefined && options.tls !== false) {
    throw new TypeError(
      `tls is ${secure ? 'off' : 'set'}, but the URL starts with ${parsed.protocol}`,
    )
  }
  const tls = secure ? (options.tls ?? true) : undefined
  const port = parsed.port === '' ? (secure ? 443 : 80) : Number(parsed.port)
  return {
    url: parsed,
    scheme: secure ? 'wss' : 'ws',
    endpoint: checkEndpoint({ host: parsed.hostname, port }),
    about: `${parsed.protocol}//${parsed.host}${parsed.pathname}`,
    headers: checkHeaders(options.headers ?? {}),
    protocols: checkProtocols(options.protocols ?? []),
    resolved: resolveDialOptions({ ...options, tls }, HTTP_ALPN),
  }
}

/** Reads a URL for a WebSocket. */
export function parseWebSocketUrl(url: string | URL): URL {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    // Without the text, because it can contain credentials.
    throw new TypeError('url is not a URL of the form wss://host:port/path')
  }
  if (parsed.protocol === 'http:') parsed.protocol = 'ws:'
  if (parsed.protocol === 'https:') parsed.protocol = 'wss:'
  if (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:') {
    throw new TypeError(`url must start with ws:// or wss://, got ${parsed.protocol}`)
  }
  parsed.hash = ''
  return parsed
}

/** Checks subprotocols and returns a copy. ws checks them only after the connection is open. */
function checkProtocols(protocols: readonly string[]): string[] {
  for (const [index, protocol] of protocols.entries()) {
    // A token of RFC 9110 section 5.6.2, each at most once (RFC 6455 section 4.1).
    if (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(protocol) || protocols.indexOf(protocol) !== index) {
      throw new TypeError(
        `protocols must be tokens without duplicates, got ${JSON.stringify(protocol)}`,
      )
    }
  }
  return [...protocols]
}
