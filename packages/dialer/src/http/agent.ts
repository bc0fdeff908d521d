import type { ClientRequest } from 'node:http'
import * as http from 'node:http'
import * as https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { callbackify } from 'node:util'

import { formatHostPort } from '@proj/config/address'
import { HttpProxyAgent } from 'http-proxy-agent'

import { DialContext } from '../dial-context.ts'
import { openRoute } from '../dial.ts'
import { checkOptionNames } from '../option-names.ts'
import {
  DIAL_OPTION_NAMES,
  type DialOptions,
  type ResolvedDialOptions,
  resolveDialOptions,
} from '../options.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import { selectProxy } from '../proxy/select-proxy.ts'
import { HTTP_ALPN } from '../tls/options.ts'
import { connectProxy } from '../proxy/tunnel.ts'
import { checkEndpoint } from '../endpoint.ts'

/**
 * Makes an agent for `node:https` that dials with these options. Connections are kept alive;
 * `agent.destroy()` closes them. The error of a dial is the `error` of the request.
 * @throws {TypeError | RangeError} for a wrong option
 */
export function createAgent(options: DialOptions = {}): https.Agent {
  checkOptionNames('', options, DIAL_OPTION_NAMES)
  return new DialingHttpsAgent(
    resolveDialOptions({ ...options, tls: secureTls(options) }, HTTP_ALPN),
  )
}

/**
 * Makes an agent for `node:http`. A request through an HTTP proxy has an absolute URL, as such proxies
 * expect for HTTP without TLS; a request through SOCKS uses a tunnel.
 * @throws {TypeError | RangeError} for a wrong option
 */
export function createHttpAgent(options: DialOptions = {}): http.Agent {
  checkOptionNames('', options, DIAL_OPTION_NAMES)
  return new DialingHttpAgent(resolveDialOptions({ ...options, tls: undefined }))
}

/** Returns the TLS options of an agent, where TLS cannot be off. */
export function secureTls(options: DialOptions): NonNullable<DialOptions['tls']> {
  return options.tls === undefined || options.tls === false ? true : options.tls
}

type Created = (error: Error | null, socket?: Duplex) => void
interface RequestTarget {
  readonly host?: string | null | undefined
  readonly port?: number | string | null | undefined
}

class DialingHttpsAgent extends https.Agent {
  readonly #options: ResolvedDialOptions

  constructor(options: ResolvedDialOptions) {
    super({ keepAlive: true })
    this.#options = options
  }

  // @types/node only allows createConnection to return a socket. That it can call back instead is
  // documented by Node and works in all supported versions.
  override createConnection(target: RequestTarget, created: Created): undefined {
    dialFor(this.#options, 'https', target, created)
    return undefined
  }
}

class DialingHttpAgent extends http.Agent {
  readonly #options: ResolvedDialOptions
  readonly #throughProxy = new Map<string, ThroughHttpProxy>()

  constructor(options: ResolvedDialOptions) {
    super({ keepAlive: true })
    this.#options = options
  }

  override createConnection(target: RequestTarget, created: Created): undefined {
    dialFor(this.#options, 'http', target, created)
    return undefined
  }

  /** The method that the agents of http-proxy-agent override; called once per request. */
  addRequest(request: ClientRequest, target: RequestTarget & object): void {
    const agent = this.#proxyAgent(target)
    const next = agent ?? (http.Agent.prototype as unknown as AddsRequests)
    next.addRequest.call(agent ?? this, request, target)
  }

  override destroy(): void {
    for (const agent of this.#throughProxy.values()) agent.destroy()
    this.#throughProxy.clear()
    super.destroy()
  }

  #proxyAgent(target: RequestTarget): ThroughHttpProxy | undefined {
    const { proxy: option, noProxy } = this.#options
    let proxy: ProxyServer | undefined
    try {
      proxy = selectProxy(option, noProxy, 'http', requestEndpoint(target, 80)).proxy
    } catch {
      // A request can fail only while it waits for its connection; the dial fails with the same error.
      return undefined
    }
    if (proxy === undefined || !proxy.protocol.startsWith('http')) return undefined
    // An environment has at most six proxies, so the map stays small.
    const key = proxy.toString()
    const agent = this.#throughProxy.get(key) ?? new ThroughHttpProxy(proxy, this.#options)
    this.#throughProxy.set(key, agent)
    return agent
  }
}

/** Rewrites requests as http-proxy-agent does, over connections to the proxy from our own dial. */
class ThroughHttpProxy extends HttpProxyAgent<string> {
  readonly #proxy: ProxyServer
  readonly #options: ResolvedDialOptions

  constructor(proxy: ProxyServer, options: ResolvedDialOptions) {
    const authorization = proxy.basicAuthorization()
    super(`${proxy.protocol}://${formatHostPort(proxy.host, proxy.port)}`, {
      keepAlive: true,
      // A function, so that an inspection of the agent contains no credentials.
      headers: () => ({
        ...options.proxyHeaders,
        ...(authorization === undefined ? {} : { 'Proxy-Authorization': authorization }),
      }),
    })
    this.#proxy = proxy
    this.#options = options
  }

  override connect(): Promise<Socket> {
    return DialContext.run(this.#options, (context) => connectProxy(context, this.#proxy))
  }
}

interface AddsRequests {
  addRequest(request: ClientRequest, target: object): void
}

function dialFor(
  options: ResolvedDialOptions,
  scheme: 'http' | 'https',
  target: RequestTarget,
  created: Created,
): void {
  const endpoint = requestEndpoint(target, scheme === 'https' ? 443 : 80)
  // callbackify calls back outside of the promise, so that an error in the callback is not lost.
  callbackify(() =>
    DialContext.run(options, async (context) =>
      openRoute(context, checkEndpoint(endpoint), scheme),
    ),
  )((error, socket) => (error === null ? created(null, socket) : created(error)))
}

function requestEndpoint(target: RequestTarget, port: number): { host: string; port: number } {
  return { host: target.host ?? 'localhost', port: Number(target.port ?? port) }
}
