// An agent for node:http and node:https that behaves as Node's own: pool, limits and queue are those of
// http.Agent, and the options of a request for TCP and TLS count. What differs is how a connection is
// opened. Node expects it at once; a dial takes time, so a placeholder holds its place in the pool.

import * as http from 'node:http'
import * as https from 'node:https'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

import { DialContext } from '../dial-context.ts'
import { openRoute } from '../dial.ts'
import { checkEndpoint, type Endpoint } from '../endpoint.ts'
import { checkOptionNames, type OptionNames } from '../option-names.ts'
import {
  DIAL_OPTION_NAMES,
  type DialOptions,
  type ResolvedDialOptions,
  resolveDialOptions,
} from '../options.ts'
import type { ProxyServer } from '../proxy/proxy-server.ts'
import { selectProxyAtOnce } from '../proxy/select-proxy.ts'
import { connectProxy } from '../proxy/tunnel.ts'
import { HTTP_ALPN } from '../tls/options.ts'
import { hasUrl, ProxyRequests } from './absolute-request.ts'
import { PendingRequest } from './pending-request.ts'
import { type RequestOptions, withRequestOptions } from './request-options.ts'

/** Options of an agent: those of a dial, and those of `http.Agent` with the same names and defaults. */
export interface AgentOptions extends DialOptions {
  /** Keep connections for further requests. Default: false, as in `http.Agent`. */
  readonly keepAlive?: boolean | undefined
  /** Most connections to one host and port; further requests wait. Default: Infinity. */
  readonly maxSockets?: number | undefined
  /** Most connections of the agent. Default: Infinity. */
  readonly maxTotalSockets?: number | undefined
  /** Most kept connections to one host and port. Default: 256. */
  readonly maxFreeSockets?: number | undefined
  /** Which kept connection is used next: the last or the first one. Default: `'lifo'`. */
  readonly scheduling?: 'fifo' | 'lifo' | undefined
  /** Idle time after which a request emits `timeout`, and a kept connection is closed, ms. Default: none. */
  readonly timeout?: number | undefined
}

const AGENT_OPTION_NAMES: OptionNames<AgentOptions> = {
  ...DIAL_OPTION_NAMES,
  keepAlive: true,
  maxSockets: true,
  maxTotalSockets: true,
  maxFreeSockets: true,
  scheduling: true,
  timeout: true,
}

/**
 * Makes an agent for `node:http` and `node:https` that dials with these options. Options of a request
 * for its connection (`servername`, `ca`, `rejectUnauthorized`, `localAddress`, ...) count where the
 * agent does not set them. A request for `http:` through an HTTP proxy has an absolute URL, as such
 * proxies expect; an upgrade, such as a WebSocket, uses a tunnel. The error of a dial is the `error` of
 * the request.
 * @throws {TypeError | RangeError} for a wrong option
 */
export function createAgent(options: AgentOptions = {}): http.Agent {
  checkOptionNames('', options, AGENT_OPTION_NAMES)
  const { keepAlive, maxSockets, maxTotalSockets, maxFreeSockets, scheduling, timeout, ...dial } =
    options
  const pool = { keepAlive, maxSockets, maxTotalSockets, maxFreeSockets, scheduling, timeout }
  // Node checks the values; an option that is undefined would replace its default.
  const given = Object.entries(pool).filter(([, value]) => value !== undefined)
  return new DialingAgent(dial, Object.fromEntries(given))
}

/** Returns the TLS options of an agent, where TLS cannot be off. */
export function secureTls(options: DialOptions): NonNullable<DialOptions['tls']> {
  return options.tls === undefined || options.tls === false ? true : options.tls
}

type Created = (error: Error | null, socket?: Duplex) => void

/** The options of a request as they are in the pool. */
interface PooledOptions extends RequestOptions {
  /** Whether the request is for https:. */
  readonly secureEndpoint?: boolean
  /** Key of the pool. */
  readonly _agentKey?: string
  /** Proxy that gets the request with an absolute URL. */
  readonly throughProxy?: ProxyServer
}

/** Members of http.Agent that the agents of the common packages override; not in the types of Node. */
interface AgentInternals {
  addRequest(request: http.ClientRequest, options: object): void
  createSocket(request: http.ClientRequest, options: object, created: Created): void
  removeSocket(socket: Duplex, options: object): void
  totalSocketCount: number
  readonly sockets: Record<string, Duplex[] | undefined>
}

const internals = http.Agent.prototype as unknown as AgentInternals

class DialingAgent extends http.Agent {
  readonly #secure: ResolvedDialOptions
  readonly #plain: ResolvedDialOptions
  readonly #proxyRequests: ProxyRequests
  // In every agent of Node, but not in its types.
  declare readonly options: http.AgentOptions
  #pending: PendingRequest | undefined

  constructor(options: DialOptions, pool: http.AgentOptions) {
    super(pool)
    this.#secure = resolveDialOptions({ ...options, tls: secureTls(options) }, HTTP_ALPN)
    this.#plain = resolveDialOptions({ ...options, tls: undefined })
    this.#proxyRequests = new ProxyRequests(this.#plain, pool.keepAlive === true)
    // Node compares this with the protocol of a request; undefined is right for both.
    Object.assign(this, { protocol: undefined })
    Object.defineProperty(this, 'defaultPort', { get: portOfCaller })
  }

  override getName(options: PooledOptions = {}): string {
    const { throughProxy } = options
    if (throughProxy !== undefined) return throughProxy.toString()
    return options.secureEndpoint === true
      ? `https:${https.Agent.prototype.getName.call(this, options)}`
      : super.getName(options)
  }

  /** Called once per request. */
  addRequest(request: http.ClientRequest, options: RequestOptions): void {
    const secureEndpoint = request.protocol === 'https:'
    const throughProxy = secureEndpoint ? undefined : this.#proxyFor(request, options)
    if (throughProxy !== undefined) this.#proxyRequests.rewrite(request, options, throughProxy)
    internals.addRequest.call(this, request, { ...options, secureEndpoint, throughProxy })
  }

  /** Called for each connection; it calls createConnection at once. */
  createSocket(request: http.ClientRequest, options: PooledOptions, created: Created): void {
    this.#pending = new PendingRequest(request, this.options.timeout)
    internals.createSocket.call(this, request, options, (error, socket) => {
      // Node leaves a request in its queue until it has a socket, and never expects an error here.
      if (error !== null) this.#forget(request)
      created(error, socket)
    })
  }

  // @types/node only allows createConnection to return a socket. That it can call back instead is
  // documented by Node and works in all supported versions.
  override createConnection(options: PooledOptions, created: Created): undefined {
    const pending = this.#pending ?? new PendingRequest(undefined, undefined)
    this.#pending = undefined
    const place = this.#hold(options, pending)
    const dialed = this.#dial(options, pending.signal)
    void dialed
      .then(
        (socket) => {
          this.#release(place, options)
          if (this.options.timeout !== undefined) socket.setTimeout(this.options.timeout)
          if (options.throughProxy !== undefined) socket.on('free', closeUnlessPromised)
          return () => created(null, socket)
        },
        (error: Error) => () => {
          created(error)
          // Starts the next request that waits for a place.
          internals.removeSocket.call(this, place, options)
        },
      )
      .finally(() => pending.settle())
      // Outside of the promise, so that an error in the callback is not lost.
      .then((settle) => process.nextTick(settle))
  }

  #dial(options: PooledOptions, signal: AbortSignal): Promise<Socket> {
    const { throughProxy } = options
    const secure = options.secureEndpoint === true
    const base = secure ? this.#secure : this.#plain
    return Promise.resolve().then(() => {
      const resolved = withRequestOptions(base, options, signal)
      return DialContext.run(resolved, async (context) =>
        throughProxy === undefined
          ? openRoute(
              context,
              checkEndpoint(endpointOf(options, secure)),
              secure ? 'https' : 'http',
            )
          : connectProxy(context, throughProxy),
      )
    })
  }

  #forget(request: http.ClientRequest): void {
    const queues = this.requests as Record<string, http.ClientRequest[] | undefined>
    for (const [key, queue = []] of Object.entries(queues)) {
      const index = queue.indexOf(request)
      if (index < 0) continue
      queue.splice(index, 1)
      if (queue.length === 0) delete queues[key]
    }
  }

  /** Puts a placeholder into the pool, which counts for the limits of the agent. */
  #hold({ _agentKey: key = '' }: PooledOptions, pending: PendingRequest): Duplex {
    const place = new Duplex()
    // agent.destroy() destroys every socket in the pool.
    place.once('close', () => pending.abort())
    const { sockets } = this as unknown as AgentInternals
    ;(sockets[key] ??= []).push(place)
    ;(this as unknown as AgentInternals).totalSocketCount += 1
    return place
  }

  #release(place: Duplex, { _agentKey: key = '' }: PooledOptions): void {
    const { sockets } = this as unknown as AgentInternals
    const list = sockets[key]
    const index = list?.indexOf(place) ?? -1
    if (list === undefined || index < 0) return
    list.splice(index, 1)
    if (list.length === 0) delete sockets[key]
    ;(this as unknown as AgentInternals).totalSocketCount -= 1
  }

  /** Returns the proxy that gets a request with an absolute URL; undefined for a tunnel and without a proxy. */
  #proxyFor(request: http.ClientRequest, options: RequestOptions): ProxyServer | undefined {
    // A proxy removes Upgrade from a request, and a CONNECT is for the server.
    if (request.getHeader('upgrade') !== undefined || request.method === 'CONNECT') return undefined
    if (options.socketPath !== undefined && options.socketPath !== null) return undefined
    const { proxy: option, noProxy } = this.#plain
    try {
      const target = checkEndpoint(endpointOf(options, false))
      const proxy = selectProxyAtOnce(option, noProxy, 'http', target)
      const takesUrls = proxy?.protocol.startsWith('http') === true
      return takesUrls && 'host' in target && hasUrl(target.host) ? proxy : undefined
    } catch {
      // A request can fail only while it waits for its connection; the dial fails with the same error.
      return undefined
    }
  }
}

/**
 * Closes a connection to a proxy after a response, unless the proxy promised to keep it. Some proxies
 * (tinyproxy) pass on the response of a server that keeps its connection, and close their own.
 */
function closeUnlessPromised(this: Duplex): void {
  const { _httpMessage: request } = this as Duplex & {
    readonly _httpMessage?: { readonly res?: http.IncomingMessage } | null
  }
  const { connection = '', 'proxy-connection': proxyConnection = '' } = request?.res?.headers ?? {}
  if (!/keep-alive/i.test(`${connection},${String(proxyConnection)}`)) this.destroy()
}

/**
 * Port of a request without one. Node reads it before it tells the agent anything about the request, so
 * the caller decides; the package agent-base does the same.
 */
function portOfCaller(): number {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = Math.max(stackTraceLimit ?? 0, 10)
  const { stack = '' } = new Error('who asks')
  Error.stackTraceLimit = stackTraceLimit
  return stack.includes('node:https:') ? 443 : 80
}

function endpointOf(options: RequestOptions, secure: boolean): Endpoint {
  const { socketPath, host, port } = options
  if (typeof socketPath === 'string' && socketPath !== '') return { path: socketPath }
  return { host: host ?? 'localhost', port: Number(port ?? (secure ? 443 : 80)) }
}
