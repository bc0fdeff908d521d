import type { Socket } from 'node:net'

import { sourceOf } from '@proj/auth'
import type { Peer } from '@proj/portcheck'
import { type Logger } from '@proj/tunnel'
import { OpenSplices, resetSocket, Traffic } from '@proj/tunnel/io'
import {
  openConnection,
  tellRejected,
  type TcpConnection,
  type UpstreamRegistry,
} from '@proj/tunnel/server'

import { type ConnectionBudget, PortConnections } from '../connection-budget.ts'
import { type Deadlines, watchIdle } from '../proxy/deadlines.ts'
import type { PublicPort } from './public-port.ts'

/** What the visitors of public ports need. */
export interface PublicVisitorsParts {
  /** Where upstreams are found. */
  readonly registry: UpstreamRegistry
  /** Watches those that rest. */
  readonly deadlines: Deadlines
  /** Shared with the other ports. */
  readonly budget: ConnectionBudget
  /** Debug for every connection. */
  readonly logger: Logger
}

/** Limits of a connection. */
export interface VisitorLimits {
  /** Visitors of all public ports that may be connected at once. */
  readonly maxConnections: number
  /** Of these, most of one source: an IPv4 address, or a /64 of IPv6. */
  readonly maxConnectionsPerSource: number
  /** Without a byte in either direction, ms. */
  readonly idleTimeoutMs: number
}

/** Time a peer is silent before the system asks whether it is still there, ms. */
const KEEP_ALIVE_MS = 60_000

/** Connections and bytes, of a port or of all. */
export interface VisitorCounts {
  /** Visitors connected now. */
  readonly open: number
  /** Carried since the start, those that are open included. */
  readonly connections: number
  /** Bytes received from visitors. */
  readonly bytesIn: number
  /** Bytes sent to visitors. */
  readonly bytesOut: number
}

/**
 * The connections of all public ports. Each becomes one stream to an agent; a connection that cannot be
 * forwarded is reset, so that it does not look like an empty response.
 */
export class PublicVisitors {
  /** Connections that were reset at once: no session serves the port, or a limit is reached. */
  refused = 0
  readonly #parts: PublicVisitorsParts
  /** Every connection of the ports, also one that waits for its agent. */
  readonly sockets: PortConnections
  readonly #open = new OpenSplices()
  readonly #all = new Traffic()
  readonly #byPort = new WeakMap<PublicPort, Traffic>()

  constructor(parts: PublicVisitorsParts) {
    this.#parts = parts
    this.sockets = new PortConnections(parts.budget)
  }

  /** Takes a connection over. */
  accept(port: PublicPort, socket: Socket, peer: Peer, limits: VisitorLimits): void {
    const { registry, logger } = this.#parts
    const { endpoint } = port.owner
    const reject = (why: string): void => {
      this.refused += 1
      logger.debug({ port: port.number, endpoint: endpoint.name, why }, 'visitor refused')
      resetSocket(socket)
    }
    const visitor = { remoteAddress: peer.address, remotePort: peer.port }
    socket.on('error', () => {}) // until it is spliced, a reset by the peer needs no handling
    if (!port.hasAgents && !registry.waits.expects(endpoint)) {
      tellRejected(registry, endpoint, visitor, 'noUpstream')
      return reject('no agent serves the port now')
    }
    const source = sourceOf(peer.address)
    const limit = this.sockets.admitVisitor(socket, source, {
      max: limits.maxConnections,
      maxPerSource: limits.maxConnectionsPerSource,
      dropsIdle: false,
    })
    if (limit !== undefined) {
      tellRejected(registry, endpoint, visitor, 'limitReached')
      return reject(`limit reached: ${limit}`)
    }
    const gone = new AbortController()
    const connection = openConnection(registry, endpoint, visitor, logger, gone.signal)
    if (!(connection instanceof Promise)) {
      if (typeof connection === 'string') return reject(connection)
      return this.#join(port, socket, connection, limits)
    }
    socket.once('close', () => gone.abort())
    void connection.then((late) => {
      if (typeof late === 'string') reject(late)
      else if (socket.destroyed) late.abandon()
      else this.#join(port, socket, late, limits)
    })
  }

  #join(port: PublicPort, socket: Socket, connection: TcpConnection, limits: VisitorLimits): void {
    const { deadlines } = this.#parts
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    let stopWatching = (): void => {}
    const splice = connection.toSocket(() => {
      stopWatching()
      this.#open.delete(splice)
    }, [this.#all, this.#trafficOf(port)])
    this.#open.add(splice)
    stopWatching = watchIdle(splice, limits.idleTimeoutMs, deadlines)
    splice.connect(socket)
  }

  /** Counts of one port, or of all since the start. */
  counts(port?: PublicPort): VisitorCounts {
    const traffic = port === undefined ? this.#all : this.#trafficOf(port)
    const { open, total: connections, bytesFromSocket: bytesIn, bytesToSocket: bytesOut } = traffic
    return { open, connections, bytesIn, bytesOut }
  }

  /**
   * Waits until the connections have ended.
   *
   * @param options.signal - ends the wait: what still runs then goes on until `destroy`.
   */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.#open.drained(signal)
  }

  /** Resets every connection now. */
  destroy(): void {
    this.#open.abort('draining')
  }

  #trafficOf(port: PublicPort): Traffic {
    let traffic = this.#byPort.get(port)
    if (traffic === undefined) this.#byPort.set(port, (traffic = new Traffic()))
    return traffic
  }
}
