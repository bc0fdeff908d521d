import type { ClientRequest, IncomingMessage } from 'node:http'

import { formatHostPort } from '@proj/config/address'

import { authenticationError } from '../proxy/errors.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import type { RequestOptions } from './request-options.ts'

/**
 * Rewrites requests for HTTP proxies before their heads are made: an absolute URL (RFC 9112 section
 * 3.2.2) and the headers for the proxy.
 */
export class ProxyRequests {
  readonly #headers: Readonly<Record<string, string>>
  readonly #keepAlive: boolean

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
    if (!/^https?:\/\//i.test(path)) {
      // The host that is dialed: the header Host can name another one.
      request.path = `${originOf(options)}${path.startsWith('/') ? '' : '/'}${path}`
    }
    this.#setHeaders(request, proxy)
    failOnChallenge(request, proxy)
  }

  #setHeaders(request: ClientRequest, proxy: ProxyServer): void {
    const authorization = proxy.basicAuthorization()
    if (authorization !== undefined) request.setHeader('Proxy-Authorization', authorization)
    request.setHeader('Proxy-Connection', this.#keepAlive ? 'Keep-Alive' : 'close')
    for (const [name, value] of Object.entries(this.#headers)) request.setHeader(name, value)
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

/** Returns the URL of the host that a request is for, up to its path. */
function originOf(options: RequestOptions): string {
  return new URL(
    `http://${formatHostPort(options.host ?? 'localhost', Number(options.port ?? 80))}`,
  ).origin
}
