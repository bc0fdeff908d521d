import { createServer as createHttpServer, type IncomingMessage } from 'node:http'

import type { Gate } from '@proj/auth'
import { WindowBudget } from '@proj/mux'
import { type Listeners, listenTogether, peerOf } from '@proj/portcheck'
import { type Logger, TUNNEL_LIMITS } from '@proj/tunnel'
import {
  allowAll,
  type Authorize,
  type ClientCertificate,
  ConsumerAcceptor,
  UpstreamAcceptor,
  UpstreamRegistry,
} from '@proj/tunnel/server'

import { createAdminHandler } from './admin/admin.ts'
import type { Authenticator } from './auth/authenticator.ts'
import { isPublic } from './is-public.ts'
import { HttpProxy } from './proxy/http-proxy.ts'
import type { ProxyOptions } from './proxy/proxy-options.ts'
import { noteNames } from './upstream/note-names.ts'
import type { PublicPortOptions } from './public-ports/public-port-options.ts'
import { PublicPorts } from './public-ports/public-ports.ts'
import { StoredPorts } from './public-ports/port-reservations.ts'
import { listenRequest, type ServerListener } from './server-listener.ts'
import { isReservationsPath, ReservationsApi } from './upstream/reservations-api.ts'
import { memoryStore, type Store } from './store/store.ts'
import { clientCertificateOf, peerFacts } from './tls/certificates.ts'
import { type StandingPolicy, VisitorGates } from './auth/visitor-gates.ts'

/** What a server is made of. */
export interface ServerOptions {
  /** Where visitors and consumers connect. Default `*:8000`. */
  readonly proxy?: ServerListener
  /** Where agents connect. Default `*:8001`. */
  readonly upstream?: ServerListener
  /** Where operators look. Default `localhost:8002`: both loopbacks, nobody else. */
  readonly admin?: ServerListener
  /** Times and limits of the HTTP edge. */
  readonly edge?: ProxyOptions
  /** Public TCP ports for endpoints. Default: none. */
  readonly publicPorts?: PublicPortOptions
  /** What the operator demands of visitors. Default: nothing. */
  readonly visitors?: readonly StandingPolicy[]
  /** Judges handshakes. Default: the authenticator. */
  readonly authorize?: Authorize
  /** What the server remembers. Default: a store that ends with the process. Not closed by the server. */
  readonly store?: Store
  /** Names may be taken over this soon from agents that are silent; see `UpstreamAcceptor`. */
  readonly probeTimeoutMs?: number
  /** Knows who somebody is, on every port. Default: everyone may do everything. */
  readonly authenticator?: Authenticator
  /** Program and version, told to peers of ours. */
  readonly software: string
  /** Told what the server does. */
  readonly logger: Logger
}

/** Memory that the windows of all sessions of this process may grow by together. */
const WINDOW_BUDGET_BYTES = 256 * 1024 * 1024

/** The three ports by name. */
export interface ServerListeners {
  /** Where visitors and consumers connect. */
  readonly proxy: Listeners
  /** Where agents connect. */
  readonly upstream: Listeners
  /** Where operators look. */
  readonly admin: Listeners
}

/** A request on the upstream and admin ports, head and body, must come within this, ms. */
const SIDE_PORT_HEAD_TIMEOUT_MS = 10_000

interface ServerParts {
  readonly registry: UpstreamRegistry<Gate>
  readonly gates: VisitorGates
  readonly edge: HttpProxy
  readonly publicPorts: PublicPorts
  readonly upstream: UpstreamAcceptor
  readonly connect: ConsumerAcceptor
  readonly listeners: ServerListeners
  /** Read by the admin page `/ready`. */
  readonly state: { ready: boolean }
}

/** A running server: composes the edge, the acceptors and the admin pages on their ports. */
export class Server {
  /** Which agents serve which endpoints. */
  readonly registry: UpstreamRegistry<Gate>
  /** The visitors' side. */
  readonly edge: HttpProxy
  /** Public TCP ports. */
  readonly publicPorts: PublicPorts
  /** What is bound. */
  readonly listeners: ServerListeners
  readonly #parts: ServerParts
  #ending: Promise<void> | undefined

  private constructor(parts: ServerParts) {
    this.registry = parts.registry
    this.edge = parts.edge
    this.publicPorts = parts.publicPorts
    this.listeners = parts.listeners
    this.#parts = parts
    parts.state.ready = true
  }

  /**
   * Opens every port or none; none serves before all are held.
   *
   * @throws {PortcheckError} when a port cannot be had, with its holder.
   */
  static async start(options: ServerOptions): Promise<Server> {
    const { logger, software, authenticator } = options
    const store = options.store ?? memoryStore(logger)
    const registry = new UpstreamRegistry<Gate>()
    noteNames(registry, store.audit)
    const authorize = options.authorize ?? authenticator?.authorize ?? allowAll
    const common = {
      registry,
      // One bound for the whole process, whichever port a session came by.
      windowBudget: new WindowBudget(WINDOW_BUDGET_BYTES),
      software,
      logger,
      authorize,
    }
    const connect = new ConsumerAcceptor(common)
    const edge = new HttpProxy(options.edge ?? {}, { registry, connect, authenticator, logger })
    const publicPorts = new PublicPorts(options.publicPorts ?? {}, {
      registry,
      deadlines: edge.deadlines,
      logger,
      defaultHosts: () => (isOnLoopback ? ['localhost'] : ['*']),
      reservations: new StoredPorts(store.reservations, logger),
      onChange: (event, { number: port, owner }) =>
        store.audit.write(`port.${event}`, {
          tenant: owner.endpoint.tenant,
          endpoint: owner.endpoint.name,
          identity: owner.identity,
          port,
        }),
    })
    let isOnLoopback = true
    const gates = new VisitorGates()
    registry.setStandingRules(gates.standing(options.visitors ?? []))
    let proxyPort: number | undefined
    const addressOf = ({ socket }: IncomingMessage): string | undefined => peerOf(socket)?.address
    const certificateOf = ({ socket }: IncomingMessage): ClientCertificate | undefined =>
      clientCertificateOf(socket)
    const names = {
      reservations: store.reservations,
      nameRetryAfterMs: TUNNEL_LIMITS.nameRetryAfterMs.default,
    }
    const upstream = new UpstreamAcceptor({
      ...common,
      publicPorts,
      ...names,
      urls: (endpoint) => endpointUrls(endpoint, proxyPort, options.proxy?.tls !== undefined),
      readVisitorRules: gates.read,
      certificateOf,
      addressOf,
      onNameRefused: ({ conflict, endpoint: { tenant, name }, ...asked }) =>
        store.audit.write('name.refused', {
          ...asked,
          tenant,
          endpoint: name,
          holder: conflict.holder,
          heldBy: conflict.identity,
        }),
      ...(options.probeTimeoutMs !== undefined && { probeTimeoutMs: options.probeTimeoutMs }),
    })
    const reservations = new ReservationsApi({
      registry,
      portOf: (owner) => publicPorts.portOf(owner),
      store,
      authorize,
      addressOf,
      certificateOf,
      logger,
      ...names,
    })
    const state = { ready: false }
    const upstreamServer = createHttpServer({
      headersTimeout: SIDE_PORT_HEAD_TIMEOUT_MS,
      requestTimeout: SIDE_PORT_HEAD_TIMEOUT_MS,
    })
    upstreamServer.on('upgrade', (request, socket, head) => {
      const { method = '', url = '/', headers } = request
      const [path = '/'] = url.split('?')
      // Consumers are welcome on this port too, so that one address serves a program that does both.
      if (!connect.matches(method, path)) upstream.handleUpgrade(request, socket, head)
      else {
        const peer = peerOf(request.socket)
        const from = {
          remoteAddress: peer?.address,
          remotePort: peer?.port,
          ...peerFacts(request.socket),
        }
        void connect.handle({ method, path, headers, ...from }, socket, head)
      }
    })
    upstreamServer.on('request', (request, response) => {
      if (isReservationsPath(request.url ?? '')) void reservations.handle(request, response)
      else upstream.handleRequest(request, response)
    })
    const adminServer = createHttpServer(
      { headersTimeout: SIDE_PORT_HEAD_TIMEOUT_MS },
      createAdminHandler({
        edge,
        registry,
        publicPorts,
        sessions: () => upstream.sessions.size,
        ready: () => state.ready,
        tls: Object.entries({
          proxy: options.proxy?.tls,
          upstream: options.upstream?.tls,
          admin: options.admin?.tls,
        }).flatMap(([name, front]) => (front === undefined ? [] : [{ name, front }])),
        authenticator,
        addressOf,
        certificateOf,
      }),
    )
    try {
      const [proxy, upstreams, admin] = await listenTogether([
        {
          ...listenRequest(options.proxy, '*:8000'),
          onConnection: (socket, peer) => edge.accept(socket, peer.address),
        },
        { ...listenRequest(options.upstream, '*:8001'), server: upstreamServer },
        { ...listenRequest(options.admin, 'localhost:8002'), server: adminServer },
      ])
      proxyPort = proxy.bound[0]?.port
      isOnLoopback = !proxy.bound.some(isPublic)
      const listeners = { proxy, upstream: upstreams, admin }
      const halves = { edge, publicPorts, upstream, connect }
      return new Server({ gates, registry, ...halves, listeners, state })
    } catch (error) {
      edge.destroy()
      throw error
    }
  }

  /**
   * Stops in good order: not ready, no new visitors and agents, running exchanges finish, agents are
   * told to come back elsewhere or later, then everything closes.
   *
   * @param options.signal - ends the patience: what still runs then is cut.
   */
  close(options: { readonly signal: AbortSignal }): Promise<void> {
    this.#ending ??= this.#close(options)
    return this.#ending
  }

  /** Replaces what the operator demands of visitors, from the next request and connection on. */
  setVisitors(policies: readonly StandingPolicy[]): void {
    this.registry.setStandingRules(this.#parts.gates.standing(policies))
  }

  /** Ends everything now. */
  destroy(): void {
    const { state, connect, upstream } = this.#parts
    state.ready = false
    this.publicPorts.destroy()
    this.edge.destroy()
    connect.destroy()
    upstream.destroy()
    for (const listeners of Object.values(this.listeners)) listeners.destroy()
  }

  async #close({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { state, connect, upstream } = this.#parts
    state.ready = false
    // Agents of ours move while the visitors' exchanges finish, so that neither waits for the other.
    upstream.askToMove()
    // These ports are given up first; closing them resolves when the last connection has ended. The
    // admin port stays to the end, to say that the server is not ready.
    const freed = [this.listeners.proxy, this.listeners.upstream].map((listeners) =>
      listeners.close({ signal }).catch(() => {}),
    )
    // Visitors before agents: their exchanges need the agents' sessions.
    await Promise.all([
      this.edge.drain({ signal }),
      this.publicPorts.drain({ signal }),
      connect.drain({ signal }),
    ])
    await upstream.drain({ signal })
    this.destroy()
    await Promise.all(freed)
  }
}

/** Where a person finds an endpoint when the host name is left to us: `localhost` needs no DNS. */
function endpointUrls(
  endpoint: string,
  proxyPort: number | undefined,
  isSecure: boolean,
): string[] {
  const scheme = isSecure ? 'https' : 'http'
  return proxyPort === undefined ? [] : [`${scheme}://${endpoint}.localhost:${proxyPort}`]
}
