import type { ClientRequest, IncomingMessage } from 'node:http'

import { formatHostPort } from '@proj/config/address'

import { authenticationError } from '../proxy/errors.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import type { RequestOptions } from './request-options.ts'

/**
 * Rewrites a request for an HTTP proxy before its head is made: an absolute URL (RFC 9112 section 3.2.2)
 * and the headers for the proxy.
 */
export function addressToProxy(
  request: ClientRequest,
  options: RequestOptions,
  proxy: ProxyServer,
  headers: Readonly<Record<string, string>>,
): void {
  const internal = request as unknown as { _header: string | null }
  if (internal._header !== null) {
    // Node has made the head already, because the headers are a list of names and values.
    internal._header = null
    const list = (options.headers ?? []) as readonly (string | readonly [string, string])[]
    const pairs = list.flat()
    for (let index = 0; index + 1 < pairs.length; index += 2) {
      request.appendHeader(pairs[index] ?? '', pairs[index + 1] ?? '')
    }
  }
  request.path = absoluteUrl(request, options)
  const authorization = proxy.basicAuthorization()
  if (authorization !== undefined) request.setHeader('Proxy-Authorization', authorization)
  for (const [name, value] of Object.entries(headers)) request.setHeader(name, value)
  failOnChallenge(request, proxy)
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

function absoluteUrl(request: ClientRequest, options: RequestOptions): string {
  const { path } = request
  // Some callers know about the proxy and have written the URL themselves.
  if (/^https?:\/\//i.test(path)) return path
  const port = Number(options.port ?? 80)
  const host = options.host ?? 'localhost'
  const authority =
    port === 80 ? formatHostPort(host, 80).replace(/:80$/, '') : formatHostPort(host, port)
  return `http://${authority}${path.startsWith('/') ? '' : '/'}${path}`
}
