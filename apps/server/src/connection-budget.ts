// Connections of all ports within the file descriptors of the process. Each is counted from its accept until
// its socket is closed, whatever it carries by then: a WebSocket or an access still has its descriptor.
import type { Socket } from 'node:net'

import { lingerSocket, resetSocket } from '@proj/tunnel/io'

/** How many connections of each kind there may be at once. */
export interface ConnectionShares {
  /** Visitors and consumers, of the proxy port and all public ports together. */
  readonly visitors: number
  /** Of these, most of one source: an IPv4 address, or a /64 of IPv6. */
  readonly visitorsPerSource: number
  /** Visitors and agents together; what is above `visitors` is there for agents alone. */
  readonly all: number
  /** Connections to the upstream port that have not authenticated. */
  readonly unauthenticated: number
  /** Connections to the admin port. */
  readonly admin: number
}

/** Without a limit of descriptors. */
const UNLIMITED: ConnectionShares = {
  visitors: Infinity,
  visitorsPerSource: Infinity,
  all: Infinity,
  unauthenticated: Infinity,
  admin: Infinity,
}

/** Rejected connections of all ports that are still being told so; one more is reset at once. */
const MAX_REJECTED = 16

/**
 * The limit that keeps a connection out: `port` is the number of the port, `source` that of one address,
 * `unauthenticated` that of connections to the upstream port before their handshake, `descriptors` that of
 * the process.
 */
export type ConnectionLimit = 'port' | 'source' | 'unauthenticated' | 'descriptors'

/** How many visitors one kind of port may have. */
export interface VisitorLimits {
  readonly max: number
  /** Of these, most of one source. */
  readonly maxPerSource: number
  /** Whether dropping an idle visitor of the proxy port makes room within these limits. */
  readonly dropsIdle: boolean
}

/** The connections of one kind of port. */
export class PortConnections {
  /** How many were rejected, by the limit that was reached. */
  readonly rejected: Record<ConnectionLimit, number> = {
    port: 0,
    source: 0,
    unauthenticated: 0,
    descriptors: 0,
  }
  /** Open now. */
  get open(): number {
    return this.#open
  }
  readonly #budget: ConnectionBudget
  readonly #bySource = new SourceCounts()
  #open = 0

  /** @param budget - shared with the other ports. */
  constructor(budget: ConnectionBudget) {
    this.#budget = budget
  }

  /**
   * Counts a visitor until its socket is closed, if there is room for it. An idle visitor of the proxy port
   * goes where that makes room: for descriptors always, for a limit of this port with `dropsIdle`.
   *
   * @param source - undefined: not limited by source, as behind a proxy that all visitors come from.
   * @returns the limit that is reached; undefined: it is counted.
   */
  admitVisitor(
    socket: Socket,
    source: string | undefined,
    limits: VisitorLimits,
  ): ConnectionLimit | undefined {
    const own = this.#ownLimit(source, limits)
    const limit = own ?? this.#budget.visitorLimit(source)
    if (limit !== undefined) {
      const mayDrop = own === undefined || limits.dropsIdle
      if (!mayDrop || !this.#budget.dropIdle(limit === 'source' ? source : undefined)) {
        this.rejected[limit] += 1
        return limit
      }
    }
    this.#open += 1
    this.#budget.count('visitor', source, 1)
    if (source !== undefined) this.#bySource.add(source, 1)
    socket.once('close', () => {
      this.#open -= 1
      this.#budget.count('visitor', source, -1)
      if (source !== undefined) this.#bySource.add(source, -1)
    })
    return undefined
  }

  /** Counts a connection of an agent until its socket is closed. */
  addAgent(socket: Socket): void {
    this.#open += 1
    this.#budget.count('agent', undefined, 1)
    socket.once('close', () => {
      this.#open -= 1
      this.#budget.count('agent', undefined, -1)
    })
  }

  /** Counts a connection of the admin port until its socket is closed, or says which limit is reached. */
  admitOperator(socket: Socket): ConnectionLimit | undefined {
    if (this.#open >= this.#budget.maxAdmin) {
      this.rejected.descriptors += 1
      return 'descriptors'
    }
    this.#open += 1
    socket.once('close', () => {
      this.#open -= 1
    })
    return undefined
  }

  /** Sends a rejected connection its answer, or resets it where too many are being told already. */
  reject(socket: Socket, answer: string | Buffer): void {
    socket.on('error', () => {}) // 'close' follows and says enough
    if (this.#budget.addRejected(socket)) lingerSocket(socket, answer)
    else resetSocket(socket)
  }

  #ownLimit(
    source: string | undefined,
    { max, maxPerSource }: VisitorLimits,
  ): ConnectionLimit | undefined {
    if (source !== undefined && this.#bySource.of(source) >= maxPerSource) return 'source'
    return this.#open >= max ? 'port' : undefined
  }
}

/** The connections of all ports of a process. */
export class ConnectionBudget {
  readonly #shares: ConnectionShares
  readonly #visitorsBySource = new SourceCounts()
  #visitors = 0
  #all = 0
  #rejected = 0

  /** Drops the oldest idle visitor, of one source or of all, and says whether there was one. */
  dropIdle: (source?: string) => boolean = () => false

  /** @param shares - default: no limits. */
  constructor(shares: ConnectionShares = UNLIMITED) {
    this.#shares = shares
  }

  /** The limit one more visitor would exceed. */
  visitorLimit(source: string | undefined): ConnectionLimit | undefined {
    const { visitors, visitorsPerSource, all } = this.#shares
    if (source !== undefined && this.#visitorsBySource.of(source) >= visitorsPerSource) {
      return 'source'
    }
    return this.#visitors >= visitors || this.#all >= all ? 'descriptors' : undefined
  }

  /** Visitors' connections of one source. */
  visitorsOf(source: string): number {
    return this.#visitorsBySource.of(source)
  }

  /** Most connections to the upstream port that have not authenticated. */
  get maxUnauthenticated(): number {
    return this.#shares.unauthenticated
  }

  /** Most connections to the admin port. */
  get maxAdmin(): number {
    return this.#shares.admin
  }

  /** Whether there are descriptors for one more connection of an agent. */
  hasRoomForAgent(): boolean {
    return this.#all < this.#shares.all
  }

  /** Counts a connection that was accepted (1) or is closed (-1). */
  count(kind: 'visitor' | 'agent', source: string | undefined, change: 1 | -1): void {
    this.#all += change
    if (kind === 'agent') return
    this.#visitors += change
    if (source !== undefined) this.#visitorsBySource.add(source, change)
  }

  /** Whether a rejected connection may stay until its peer has read why; it is counted until it is closed. */
  addRejected(socket: Socket): boolean {
    if (this.#rejected >= MAX_REJECTED) return false
    this.#rejected += 1
    socket.once('close', () => {
      this.#rejected -= 1
    })
    return true
  }
}

/** Most connections of one source, as configured: half of all at most, so that none takes them all. */
export function perSource({
  maxConnections,
  maxConnectionsPerSource,
}: {
  readonly maxConnections: number
  readonly maxConnectionsPerSource: number
}): number {
  return Math.min(maxConnectionsPerSource, Math.max(1, Math.floor(maxConnections / 2)))
}

/** Numbers of connections by source. */
export class SourceCounts {
  readonly #counts = new Map<string, number>()

  of(source: string): number {
    return this.#counts.get(source) ?? 0
  }

  add(source: string, change: 1 | -1): void {
    const count = this.of(source) + change
    if (count === 0) this.#counts.delete(source)
    else this.#counts.set(source, count)
  }
}
