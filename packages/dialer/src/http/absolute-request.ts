import type { ClientRequest, IncomingMessage } from 'node:http'

import { formatHostPort } from '@proj/config/address'
import { HttpProxyAgent } from 'http-proxy-agent'

import { withDeadline } from '../deadline.ts'
import { timedOut } from '../dial-context.ts'
import type { ResolvedDialOptions } from '../options.ts'
import { authenticationError } from '../proxy/errors.ts'
import { ProxyLogin } from '../proxy/proxy-login.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import { RepeatableBody, RepeatedRequest } from './repeated-request.ts'
import type { RequestOptions } from './request-options.ts'

/** Option of a request that is sent again: its value of Proxy-Authorization. */
const ANSWER: unique symbol = Symbol('answer')

/** Node's requests have the private members that its type asks for. */
type RequestOfWriter = Parameters<HttpProxyAgent<string>['setRequestProps']>[0]

/**
 * Rewrites requests for HTTP proxies before their heads are made: an absolute URL (RFC 9112 section
 * 3.2.2) and the headers for the proxy. An HttpProxyAgent writes them, and is used for nothing else: its
 * pool and its connections are replaced by ours, which dial with our options, limits and errors.
 */
export class ProxyRequests {
  readonly #dial: ResolvedDialOptions
  readonly #keepAlive: boolean
  readonly #writers = new WeakMap<ProxyServer, HttpProxyAgent<string>>()

  /**
   * @param dial - its headers are for every proxy, and replace those of the same name.
   * @param keepAlive - whether the proxy is asked to keep the connection.
   */
  constructor(dial: ResolvedDialOptions, keepAlive: boolean) {
    this.#dial = dial
    this.#keepAlive = keepAlive
  }

  /** Rewrites a request for `proxy`. Its host must be valid in a URL, see {@link hasUrl}. */
  rewrite(request: ClientRequest, options: RequestOptions, proxy: ProxyServer): void {
    const wasFlushed = reopenHead(request, options)
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
    const { [ANSWER]: answer } = options as { readonly [ANSWER]?: string }
    if (answer !== undefined) request.setHeader('Proxy-Authorization', answer)
    if (wasFlushed) request.flushHeaders()
    const login = new ProxyLogin(proxy, this.#dial.proxyAuthorize)
    const isRepeatable =
      answer === undefined && login.mayAnswer && request.getHeader('expect') === undefined
    if (!isRepeatable) {
      hideChallenge(request, proxy, undefined)
      return
    }
    const body = new RepeatableBody(request)
    hideChallenge(request, proxy, async (again, lines) => {
      const { bytes } = body
      if (bytes === undefined) return false
      const asked = { method: request.method, target: request.path, lines }
      const { proxyMs } = this.#dial.timeouts
      const expired = (): Error =>
        timedOut(
          'DIAL_PROXY_TIMEOUT',
          'proxy',
          'proxy',
          `proxyAuthorize did not answer for the proxy ${proxy.toString()}`,
          proxyMs,
        )
      login.connected()
      const isAnswered = await withDeadline(proxyMs, again.signal, expired, (signal) =>
        login.answer(asked, signal),
      )
      if (!isAnswered) return false
      const { method, path: target } = request
      const headers = headersOf(request)
      again.send({ ...options, method, path: target, headers, [ANSWER]: login.value }, bytes)
      return true
    })
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
    for (const [name, value] of Object.entries(this.#dial.proxyHeaders)) {
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

/** Members of a request that are not in the types of Node. */
interface RequestInternals {
  _header: string | null
  _headerSent: boolean
  outputSize: number
  readonly outputData: unknown[]
}

/**
 * Lets the head be made again where Node has made it: for a list of headers, which are only in the head,
 * and for `Expect`, with which the head is also sent. At this time it waits for a connection, and nothing
 * else does.
 * @returns whether the head was sent
 */
function reopenHead(request: ClientRequest, options: RequestOptions): boolean {
  const internal = request as unknown as RequestInternals
  if (internal._header === null) return false
  internal._header = null
  const wasFlushed = internal._headerSent
  internal._headerSent = false
  internal.outputData.length = 0
  internal.outputSize = 0
  if (Array.isArray(options.headers)) {
    const list = options.headers as readonly (string | readonly [string, string])[]
    const pairs = list.flat()
    for (let index = 0; index + 1 < pairs.length; index += 2) {
      request.appendHeader(pairs[index] ?? '', pairs[index + 1] ?? '')
    }
  }
  return wasFlushed
}

/**
 * Hides a 407 from the caller of a request: it comes from the proxy, and the program expects answers of
 * the server. The request is sent once more where there is an answer to the challenge and its body can
 * be repeated; otherwise the 407 is its error, as it is with a tunnel. A listener would tell Node that
 * the response is read, hence `emit`.
 */
function hideChallenge(
  request: ClientRequest,
  proxy: ProxyServer,
  repeat: ((again: RepeatedRequest, challenge: readonly string[]) => Promise<boolean>) | undefined,
): void {
  const emit = request.emit.bind(request) as (
    name: string | symbol,
    ...values: unknown[]
  ) => boolean
  let isHidden = false
  request.emit = (name: string | symbol, ...values: unknown[]): boolean => {
    // Node ends the request with the response that is hidden.
    if (isHidden && name === 'close') return false
    const response = values[0] as IncomingMessage | undefined
    const isChallenge = !isHidden && name === 'response' && response?.statusCode === 407
    if (!isChallenge) return emit(name, ...values)
    // Node joins the lines of this header.
    const lines = [response.headers['proxy-authenticate'] ?? []].flat()
    const error = (): Error => challengeError(request, response, lines, proxy)
    if (repeat === undefined) {
      request.destroy()
      return emit('error', error())
    }
    isHidden = true
    const again = new RepeatedRequest(request, response, emit)
    void repeat(again, lines).then(
      (isSent) => {
        if (!isSent) again.fail(error())
      },
      (failure: Error) => again.fail(failure),
    )
    return true
  }
}

function challengeError(
  request: ClientRequest,
  { statusMessage = '' }: IncomingMessage,
  lines: readonly string[],
  proxy: ProxyServer,
): Error {
  const rejected = { status: 407, lines, said: `407 ${statusMessage}`.trim() }
  const sent = request.getHeader('proxy-authorization')
  return authenticationError(rejected, proxy, sent === undefined ? undefined : String(sent))
}

/** The headers of a request as a new one takes them, without that for the proxy. */
function headersOf(request: ClientRequest): Record<string, number | string | readonly string[]> {
  const names = request.getRawHeaderNames().filter((name) => !/^proxy-/i.test(name))
  return Object.fromEntries(names.map((name) => [name, request.getHeader(name) ?? '']))
}

/** Returns the URL of the host that a request is for, with an empty path. */
function originOf(options: RequestOptions): string {
  return `http://${formatHostPort(options.host ?? 'localhost', Number(options.port ?? 80))}/`
}
