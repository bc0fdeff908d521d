import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { sourceOf } from '@proj/auth'
import type { Logger } from '@proj/tunnel'
import { resetSocket } from '@proj/tunnel/io'
import { formatAnswer, jsonAnswer } from '@proj/tunnel/server'

import {
  type ConnectionBudget,
  type ConnectionLimit,
  PortConnections,
  SourceCounts,
} from '../connection-budget.ts'
import { type Limit, resolveLimit } from '../limits.ts'

/** Limits of the upstream port. */
export interface UpstreamPortOptions {
  /** Connections at once, 1 or more; one more gets 503. Default 20 000. */
  readonly maxConnections?: number
  /**
   * Of these, most of one source (an IPv4 address, or a /64 of IPv6) that have not authenticated, 1 or more;
   * one more gets 503, or the place of one that is older than a second. Default 1000.
   */
  readonly maxUnauthenticatedPerSource?: number
}

/** Default and range of every number of {@link UpstreamPortOptions}. */
export const UPSTREAM_PORT_LIMITS: Readonly<Record<keyof UpstreamPortOptions, Limit>> =
  Object.freeze({
    maxConnections: { default: 20_000, min: 1, max: Infinity },
    // Agents behind one address that come back at the same time, with two connections each.
    maxUnauthenticatedPerSource: { default: 1_000, min: 1, max: Infinity },
  })

/** A connection that is older has had time for its handshake and makes room for another one, ms. */
const HANDSHAKE_MS = 1_000

/** Sent to a peer that finds no room; after a second older connections make room. */
export const TOO_MANY_CONNECTIONS: string = formatAnswer(
  jsonAnswer(503, 'too many connections', {
    'adit-error': 'too_many_connections',
    'retry-after': '1',
  }),
)

/** A connection whose peer has not authenticated. */
interface Unauthenticated {
  readonly source: string
  /** When it was accepted, `performance.now()`. */
  readonly since: number
}

/**
 * Counts the connections of the upstream port. Those before their handshake have a limit of their own, so that
 * peers without credentials cannot take the places of agents.
 */
export class UpstreamConnections {
  /** Every connection of the port. */
  readonly sockets: PortConnections
  readonly #options: Required<UpstreamPortOptions>
  readonly #budget: ConnectionBudget
  readonly #logger: Logger
  /** Oldest first. */
  readonly #unauthenticated = new Map<Duplex, Unauthenticated>()
  readonly #bySource = new SourceCounts()

  /** @throws {RangeError} naming an option out of range. */
  constructor(options: UpstreamPortOptions, budget: ConnectionBudget, logger: Logger) {
    const resolve = (name: keyof UpstreamPortOptions): number =>
      resolveLimit(name, UPSTREAM_PORT_LIMITS[name], options[name])
    this.#options = {
      maxConnections: resolve('maxConnections'),
      maxUnauthenticatedPerSource: resolve('maxUnauthenticatedPerSource'),
    }
    this.#budget = budget
    this.#logger = logger
    this.sockets = new PortConnections(budget)
  }

  /** Connections that have not authenticated. */
  get unauthenticated(): number {
    return this.#unauthenticated.size
  }

  /** Counts a connection until it is closed; where there is no room, answers 503. @returns whether it may stay. */
  accept(socket: Socket, remoteAddress: string): boolean {
    const source = sourceOf(remoteAddress)
    const limit = this.#limitFor(source)
    if (limit !== undefined) {
      this.sockets.rejected[limit] += 1
      this.#logger.warn(
        { remoteAddress, limit },
        'connection to the upstream port rejected: too many connections',
      )
      this.sockets.reject(socket, TOO_MANY_CONNECTIONS)
      return false
    }
    this.sockets.addAgent(socket)
    this.#unauthenticated.set(socket, { source, since: performance.now() })
    this.#bySource.add(source, 1)
    socket.once('close', () => this.authenticated(socket))
    return true
  }

  /** The peer of a connection has authenticated, or it is closed. */
  authenticated(socket: Duplex): void {
    const known = this.#unauthenticated.get(socket)
    if (known === undefined) return
    this.#unauthenticated.delete(socket)
    this.#bySource.add(known.source, -1)
  }

  /** The limit that is reached and at which no older connection makes room. */
  #limitFor(source: string): ConnectionLimit | undefined {
    const all = this.#budget.maxUnauthenticated
    const perSource = Math.min(
      this.#options.maxUnauthenticatedPerSource,
      Math.max(1, Math.floor(all / 2)),
    )
    if (this.#bySource.of(source) >= perSource && !this.#dropOldest(source)) return 'source'
    if (this.#unauthenticated.size >= all && !this.#dropOldest()) return 'unauthenticated'
    if (this.sockets.open >= this.#options.maxConnections && !this.#dropOldest()) return 'port'
    if (!this.#budget.hasRoomForAgent() && !this.#dropOldest() && !this.#budget.dropIdle()) {
      return 'descriptors'
    }
    return undefined
  }

  /** Drops the oldest connection, of one source or of all, that has had time for its handshake. */
  #dropOldest(source?: string): boolean {
    const before = performance.now() - HANDSHAKE_MS
    for (const [socket, { source: from, since }] of this.#unauthenticated) {
      if (since > before) return false
      if (source !== undefined && from !== source) continue
      this.authenticated(socket)
      resetSocket(socket)
      return true
    }
    return false
  }
}
