import type { ClientRequest, IncomingMessage } from 'node:http'

import { formatHostPort } from '@proj/config/address'
import { HttpProxyAgent } from 'http-proxy-agent'

import { authenticationError } from '../proxy/errors.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import type { RequestOptions } from './request-options.ts'

/** Node's requests have the private members that its type asks for. */
type RequestOfWriter = Parameters<HttpProxyAgent<string>['setRequestProps']>[0]

/**
 * Rewrites requests for HTTP proxies before their heads are made: an absolute URL (RFC 9112 section
 * 3.2.2) and the headers for the proxy. An HttpProxyAgent writes them, and is used for nothing else: its
 * pool and its connections are replaced by ours, which dial with our options, limits and errors.
 */
export class ProxyRequests {
  readonly #headers: Readonly<Record<string, string>>
  readonly #keepAlive: boolean
  readonly #writers = new WeakMap<ProxyServer, HttpProxyAgent<string>>()

  /**
   * @param headers - for every proxy; they replace those of the same name.
   * @param keepAlive - whether the proxy is asked to keep the connection.
   */
  constructor(headers: Readonly<Record<string, string>>, keepAlive: boolean) {
    this.#headers = headers
    this.#keepAlive = keepAlive
  }

  /** Rewrites a request for `proxy`. Its host must be valid in a URL, see {@link hasUrl}. */
  rewrite(request: ClientRequest, options: RequestOptions, proxy: ProxyServer): void {
    reopenHead(request, options)
    const { path } = request
    // Some callers know about the proxy and have written the URL themselves.
    const isAbsolute = /^https?:\/\//i.test(path)
    // Of a URL it keeps the host; otherwise it would take that of the header Host, which can be another
    // than the host that is dialed. The path is added afterwards, because it would be normalised.
    request.path = isAbsolute ? path : originOf(options)
    // With port 80 it leaves the port as it is in the URL.
    const target = { secureEndpoint: false, host: proxy.host, port: 80 } as const
    this.#writerFor(proxy).setRequestProps(request as RequestOfWriter, target)
    if (isAbsolute) request.path = path
    else request.path = `${request.path.slice(0, -1)}${path.startsWith('/') ? '' : '/'}${path}`
    failOnChallenge(request, proxy)
  }

  #writerFor(proxy: ProxyServer): HttpProxyAgent<string> {
    const known = this.#writers.get(proxy)
    if (known !== undefined) return known
    const writer = new HttpProxyAgent(`http://${formatHostPort(proxy.host, proxy.port)}`, {
      keepAlive: this.#keepAlive,
      // A function, and a URL without credentials: an inspection of the agent shows both.
      headers: () => this.#headersFor(proxy),
    })
    this.#writers.set(proxy, writer)
    return writer
  }

  #headersFor(proxy: ProxyServer): Record<string, string> {
    const authorization = proxy.basicAuthorization()
    const headers: Record<string, string> =
      authorization === undefined ? {} : { 'Proxy-Authorization': authorization }
    for (const [name, value] of Object.entries(this.#headers)) {
      // It sets a Proxy-Connection of its own unless there is one in this spelling.
      headers[/^proxy-connection$/i.test(name) ? 'Proxy-Connection' : name] = value
    }
    return headers
  }
}

/** Whether a URL can name this host. An IPv6 address with a zone is in none. */
export function hasUrl(host: string): boolean {
  return URL.canParse(`http://${formatHostPort(host, 80)}/`)
}

/** Lets the head be made again, with the headers that a list of names and values has put into it. */
function reopenHead(request: ClientRequest, options: RequestOptions): void {
  const internal = request as unknown as { _header: string | null }
  if (internal._header === null) return
  internal._header = null
  const list = (options.headers ?? []) as readonly (string | readonly [string, string])[]
  const pairs = list.flat()
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    request.appendHeader(pairs[index] ?? '', pairs[index + 1] ?? '')
  }
}

/**
 * Makes a 407 the error of the request, as it is with a tunnel: it comes from the proxy, and the program
 * expects answers of the server. A listener would tell Node that the response is read, hence `emit`.
 */
function failOnChallenge(request: ClientRequest, proxy: ProxyServer): void {
  const emit = request.emit.bind(request) as (
    name: string | symbol,
    ...values: unknown[]
  ) => boolean
  request.emit = (name: string | symbol, ...values: unknown[]): boolean => {
    const response = values[0] as IncomingMessage | undefined
    if (name !== 'response' || response?.statusCode !== 407) return emit(name, ...values)
    const { headers, statusMessage = '' } = response
    const rejected = {
      status: 407,
      // Node joins the lines of this header.
      lines: [headers['proxy-authenticate'] ?? []].flat(),
      said: `407 ${statusMessage}`.trim(),
    }
    const sent = request.getHeader('proxy-authorization')
    const error = authenticationError(
      rejected,
      proxy,
      sent === undefined ? undefined : String(sent),
    )
    request.destroy()
    return emit('error', error)
  }
}

/** Returns the URL of the host that a request is for, with an empty path. */
function originOf(options: RequestOptions): string {
  return `http://${formatHostPort(options.host ?? 'localhost', Number(options.port ?? 80))}/`
}
