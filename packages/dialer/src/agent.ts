import type { ClientRequest } from 'node:http'
import * as http from 'node:http'
import * as https from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { callbackify } from 'node:util'

import { formatHostPort } from '@proj/config/address'
import { HttpProxyAgent } from 'http-proxy-agent'

import { DialContext } from './dial-context.ts'
import { openRoute } from './dial.ts'
import { type DialOptions, type ResolvedDialOptions, resolveDialOptions } from './options.ts'
import type { ProxyServer } from './proxy-server.ts'
import { selectProxy } from './route.ts'
import { checkTarget } from './target.ts'
import { HTTP_ALPN } from './tls-options.ts'
import { connectProxy } from './tunnel.ts'

/**
 * Makes an agent for `node:https` whose connections are dialled as the options say. Connections are
 * kept alive; `agent.destroy()` ends them. A dial that fails is the request's `error`.
 * @throws {TypeError | RangeError} for a mistake in the options
 */
export function createAgent(options: DialOptions = {}): https.Agent {
  return new DialingHttpsAgent(
    resolveDialOptions({ ...options, tls: secureTls(options) }, HTTP_ALPN),
  )
}

/**
 * Makes an agent for `node:http`. Requests through an HTTP proxy are sent to it with an absolute
 * URL, which is what such proxies expect for plain HTTP; through SOCKS they are tunnelled.
 * @throws {TypeError | RangeError} for a mistake in the options
 */
export function createHttpAgent(options: DialOptions = {}): http.Agent {
  return new DialingHttpAgent(resolveDialOptions({ ...options, tls: undefined }))
}

/** TLS of an agent cannot be off, so only its details are taken from the options. */
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

  // Node's declarations let createConnection only return a socket; that it may call back instead is
  // documented, and works on every version we run on.
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

  /** The hook every agent of http-proxy-agent's family overrides; called once per request. */
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
      // A request can only fail once it waits for its connection; the dial for that fails the same.
      return undefined
    }
    if (proxy === undefined || !proxy.protocol.startsWith('http')) return undefined
    // An environment names at most six proxies, so the map stays small.
    const key = proxy.toString()
    const agent = this.#throughProxy.get(key) ?? new ThroughHttpProxy(proxy, this.#options)
    this.#throughProxy.set(key, agent)
    return agent
  }
}

/** Rewrites requests as http-proxy-agent does, over connections to the proxy that we dial. */
class ThroughHttpProxy extends HttpProxyAgent<string> {
  readonly #proxy: ProxyServer
  readonly #options: ResolvedDialOptions

  constructor(proxy: ProxyServer, options: ResolvedDialOptions) {
    const authorization = proxy.basicAuthorization()
    super(`${proxy.protocol}://${formatHostPort(proxy.host, proxy.port)}`, {
      keepAlive: true,
      // A function, so that inspecting the agent shows no credentials.
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
  // callbackify calls back outside of the promise, so that what the callback throws is not lost.
  callbackify(() =>
    DialContext.run(options, async (context) => openRoute(context, checkTarget(endpoint), scheme)),
  )((error, socket) => (error === null ? created(null, socket) : created(error)))
}

function requestEndpoint(target: RequestTarget, port: number): { host: string; port: number } {
  return { host: target.host ?? 'localhost', port: Number(target.port ?? port) }
}
