import type { Socket } from 'node:net'

import type { Peer } from '@proj/portcheck'
import { type Logger } from '@proj/tunnel'
import { resetSocket, SocketSplice } from '@proj/tunnel/io'
import {
  connectRecord,
  endpointKey,
  openUpstream,
  OutcomeWatch,
  type UpstreamRegistry,
} from '@proj/tunnel/server'

import type { Deadlines } from '../proxy/deadlines.ts'
import { watchIdle } from '../proxy/idle-splice.ts'
import type { PublicPort } from './public-port.ts'

/** What visitors of public ports are carried with. */
export interface PublicVisitorsParts {
  /** Where upstreams are found. */
  readonly registry: UpstreamRegistry
  /** Watches those that rest. */
  readonly deadlines: Deadlines
  /** Debug for every connection. */
  readonly logger: Logger
}

/** Limits of a connection. */
export interface VisitorLimits {
  /** Visitors at once. */
  readonly maxConnections: number
  /** Without a byte in either direction, ms. */
  readonly idleTimeoutMs: number
}

/** Time a peer is silent before the system asks whether it is still there, ms. */
const KEEP_ALIVE_MS = 60_000

/** Connections and bytes, of a port or of all. */
export interface VisitorCounts {
  /** Open now. */
  readonly open: number
  /** Carried since the start, those that are open included. */
  readonly connections: number
  /** From visitors. */
  readonly bytesIn: number
  /** To visitors. */
  readonly bytesOut: number
}

interface Tally {
  connections: number
  bytesIn: number
  bytesOut: number
  readonly open: Set<SocketSplice>
}

/**
 * The connections of all public ports. Each becomes one stream to the agent whose turn it is; a
 * connection that cannot be carried is reset, so that nobody takes it for an empty answer.
 */
export class PublicVisitors {
  /** Connections that were reset at once: nobody serves the port, or a limit is reached. */
  refused = 0
  readonly #parts: PublicVisitorsParts
  readonly #all: Tally = newTally()
  readonly #byPort = new WeakMap<PublicPort, Tally>()
  #whenEmpty: (() => void) | undefined

  constructor(parts: PublicVisitorsParts) {
    this.#parts = parts
  }

  /** Takes a connection over. */
  accept(port: PublicPort, socket: Socket, peer: Peer, limits: VisitorLimits): void {
    const { registry, logger, deadlines } = this.#parts
    const { tenant, endpoint } = port.owner
    const refuse = (why: string): void => {
      this.refused += 1
      logger.debug({ port: port.number, endpoint, why }, 'visitor refused')
      resetSocket(socket)
    }
    socket.on('error', () => {}) // until it is joined, a reset by the peer is nobody's news
    if (!port.isServed) return refuse('no agent serves the port now')
    if (this.#all.open.size >= limits.maxConnections) return refuse('maxConnections reached')
    const key = endpointKey(tenant, endpoint)
    const rules = registry.rules(key)
    if (rules?.some((one) => !one.admitsConnection(peer.address)) === true) {
      return refuse('not allowed to visitors like this one')
    }
    const record = connectRecord(endpoint, { remoteAddress: peer.address, remotePort: peer.port })
    const channel = openUpstream(registry, tenant, record)
    if (typeof channel === 'string') return refuse(`no upstream: ${channel}`)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    const tallies = [this.#all, this.#tallyOf(port)]
    const outcome = new OutcomeWatch((what) => registry.report(key, what))
    let stopWatching = (): void => {}
    const splice = new SocketSplice(channel, {
      resetReason: () => 'consumerGone',
      onClose: (_, error) => {
        stopWatching()
        if (splice.bytesToSocket > 0) outcome.answered()
        outcome.closed(error)
        for (const tally of tallies) settle(tally, splice)
        const bytes = { in: splice.bytesFromSocket, out: splice.bytesToSocket }
        logger.debug({ endpoint, requestId: record.requestId, ...bytes }, 'stream closed')
        if (this.#all.open.size === 0) this.#whenEmpty?.()
      },
    })
    for (const tally of tallies) {
      tally.connections += 1
      tally.open.add(splice)
    }
    stopWatching = watchIdle(splice, limits.idleTimeoutMs, deadlines)
    channel.attach(splice)
    splice.connect(socket)
  }

  /** Counts of one port, or of all since the start. */
  counts(port?: PublicPort): VisitorCounts {
    const { connections, bytesIn, bytesOut, open } =
      port === undefined ? this.#all : this.#tallyOf(port)
    let [received, sent] = [bytesIn, bytesOut]
    for (const splice of open) {
      received += splice.bytesFromSocket
      sent += splice.bytesToSocket
    }
    return { open: open.size, connections, bytesIn: received, bytesOut: sent }
  }

  /**
   * Waits until the connections have ended.
   *
   * @param options.signal - ends the patience: what still runs then goes on until `destroy`.
   */
  async drain({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    if (this.#all.open.size === 0 || signal.aborted) return
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Resets every connection now. */
  destroy(): void {
    for (const splice of this.#all.open) splice.abort('draining')
  }

  #tallyOf(port: PublicPort): Tally {
    let tally = this.#byPort.get(port)
    if (tally === undefined) this.#byPort.set(port, (tally = newTally()))
    return tally
  }
}

function newTally(): Tally {
  return { connections: 0, bytesIn: 0, bytesOut: 0, open: new Set() }
}

function settle(tally: Tally, splice: SocketSplice): void {
  if (!tally.open.delete(splice)) return
  tally.bytesIn += splice.bytesFromSocket
  tally.bytesOut += splice.bytesToSocket
}
