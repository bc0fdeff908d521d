import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'

import { type Channel, type ChannelSink, Session } from '@proj/mux'
import { type HopAcceptor, RecordSink, type StreamRecord } from '@proj/tunnel/server'

import type { ClusterNode } from '../model.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import { ControlReader, END_LONG_LIVED, formatGreeting, type Greeting } from './control-stream.ts'
import { linkLimits } from './link-limits.ts'
import { peerFingerprint, tlsOptionsOf } from './link-tls.ts'
import type { LinkParts } from './node-link.ts'
import { PagesOfLink } from './node-page.ts'

/** Time for TLS, and for the greeting after it, ms. */
const HANDSHAKE_MS = 5_000
/**
 * Connections whose peer has not proved yet that it is a node. One more ends the oldest one of the address that has
 * most of them: a host that holds them open does not keep the nodes out.
 */
const MAX_UNPROVED = 64
/** How long it is not said again that connections are refused, ms. */
const REFUSED_LOG_MS = 60_000
/** Connections of one node: the one in use, and those that it has given up and this node still has. */
const MAX_LINKS_PER_NODE = 4

/** How long a connection waits for its node to come into the table where nothing else is said, ms. */
const UNKNOWN_WAIT_MS = 3_000

/** An accepted link. */
interface Accepted {
  readonly node: ClusterNode
  /** Of its certificate; that of `node` changes in place. */
  readonly fingerprint: string
  readonly session: Session
}

/**
 * The other ends of other nodes' links. What comes on them goes to agents of this node. A peer that does not show the
 * certificate of a node in the table gets nothing: its connection is closed after the TLS handshake.
 */
export class LinkAcceptor {
  /** Connections that were closed because no node has their certificate, and those that were too many. */
  refused = 0
  readonly #parts: LinkParts
  readonly #table: ClusterTable
  readonly #hops: HopAcceptor
  readonly #unknownWaitMs: number
  readonly #tls: Server
  /** By the peer's address and port. */
  readonly #unproved = new Map<string, Socket>()
  readonly #links = new Set<Accepted>()
  /** Control streams of links whose node has greeted. */
  readonly #controls = new Set<Channel>()
  /** Connections whose node is not in the table yet; of those in `#unproved`. */
  readonly #unknown = new Map<TLSSocket, NodeJS.Timeout>()
  /** Connections to the unix socket whose node is not in the table yet, and what looks for it again. */
  readonly #local = new Map<Socket, () => void>()
  #loggedAtMs = -Infinity
  #unlogged = 0
  #isClosed = false
  #sent = 0
  #received = 0

  /** @param unknownWaitMs - as in ClusterLinksOptions. */
  constructor(
    parts: LinkParts,
    table: ClusterTable,
    hops: HopAcceptor,
    unknownWaitMs: number = UNKNOWN_WAIT_MS,
  ) {
    this.#parts = parts
    this.#table = table
    this.#hops = hops
    this.#unknownWaitMs = unknownWaitMs
    this.#tls = createServer({ ...tlsOptionsOf(parts.tls), handshakeTimeout: HANDSHAKE_MS })
    this.#tls.on('secureConnection', (socket) => this.#secured(socket))
    this.#tls.on('tlsClientError', (error, socket) => {
      this.#refuse(`no TLS 1.3 with a certificate: ${error.message}`, socket)
    })
    table.on('node', (node, isPresent) => {
      if (!isPresent) return
      this.#endOthers(node)
      for (const socket of this.#unknown.keys()) {
        if (peerFingerprint(socket) === node.fingerprint) this.#secured(socket)
      }
      for (const look of this.#local.values()) look()
    })
  }

  /** Connections of nodes that are open. */
  get size(): number {
    return this.#links.size
  }

  /** Streams of other nodes that are open. */
  get openStreams(): number {
    let sum = 0
    for (const { session } of this.#links) sum += session.openStreams
    return sum
  }

  /** Bytes over all connections. */
  get bytes(): { readonly sent: number; readonly received: number } {
    let [sent, received] = [this.#sent, this.#received]
    for (const { session } of this.#links) {
      const now = session.stats()
      sent += now.bytesSent
      received += now.bytesReceived
    }
    return { sent, received }
  }

  /** Takes a connection to the cluster port over, before its TLS handshake. */
  accept(socket: Socket): void {
    socket.on('error', () => {}) // reported as an error of TLS, or nothing has come yet
    if (this.#isClosed) {
      socket.destroy()
      return
    }
    if (this.#unproved.size >= MAX_UNPROVED) this.#makeRoom()
    const peer = peerOf(socket)
    this.#unproved.set(peer, socket)
    socket.once('close', () => this.#unproved.delete(peer))
    socket.setNoDelay(true)
    socket.setKeepAlive(true)
    this.#tls.emit('connection', socket)
  }

  /** Takes a connection to the unix socket over. Its greeting names its node. */
  acceptLocal(socket: Socket): void {
    socket.on('error', () => {}) // its session ends
    if (this.#isClosed) {
      socket.destroy()
      return
    }
    if (this.#local.size >= MAX_UNPROVED) {
      this.#refuse('too many connections before their greeting', socket)
      return
    }
    this.#local.set(socket, () => {})
    socket.once('close', () => this.#local.delete(socket))
    this.#open(socket, undefined)
  }

  /** Asks the other nodes to end what their visitors have here without an end of its own. */
  endLongLived(): void {
    for (const control of this.#controls) if (!control.writableEnded) control.write(END_LONG_LIVED)
  }

  /**
   * Takes no more streams, lets the open ones finish, then closes the links.
   *
   * @param signal - ends the wait.
   */
  async close(signal: AbortSignal): Promise<void> {
    this.#isClosed = true
    for (const socket of this.#unproved.values()) socket.destroy()
    for (const socket of this.#local.keys()) socket.destroy()
    const ended = [...this.#links].map(async ({ session }) => {
      await session.close({ signal }).catch(() => {}) // the time is over
      session.destroy()
    })
    await Promise.all(ended)
  }

  /** A node needs a moment to prove what it is: the oldest connection is the least likely to be one. */
  #makeRoom(): void {
    const byAddress = new Map<string | undefined, Socket[]>()
    for (const socket of this.#unproved.values()) {
      const same = byAddress.get(socket.remoteAddress)
      if (same === undefined) byAddress.set(socket.remoteAddress, [socket])
      else same.push(socket)
    }
    let most: readonly Socket[] = []
    for (const same of byAddress.values()) if (same.length > most.length) most = same
    const [oldest] = most
    if (oldest === undefined) return
    this.#unproved.delete(peerOf(oldest))
    this.#refuse('too many connections in their handshake', oldest)
  }

  #secured(socket: TLSSocket): void {
    clearTimeout(this.#unknown.get(socket))
    this.#unknown.delete(socket)
    const fingerprint = peerFingerprint(socket)
    const node = [...this.#table.nodes()].find((one) => one.fingerprint === fingerprint)
    if (node === undefined || this.#isClosed) {
      this.#awaitNode(socket)
      return
    }
    this.#unproved.delete(peerOf(socket))
    this.#add(node, this.#open(socket, node))
  }

  #add(node: ClusterNode, session: Session): void {
    const link = { node, fingerprint: node.fingerprint, session }
    this.#links.add(link)
    void link.session.closed.then(() => {
      this.#links.delete(link)
      const { bytesSent, bytesReceived } = link.session.stats()
      this.#sent += bytesSent
      this.#received += bytesReceived
    })
    const own = [...this.#links].filter((one) => one.node.id === node.id)
    if (own.length > MAX_LINKS_PER_NODE) own[0]?.session.destroy()
  }

  #awaitNode(socket: TLSSocket): void {
    const end = (): void => {
      clearTimeout(this.#unknown.get(socket))
      this.#unknown.delete(socket)
    }
    const refuse = (): void => {
      end()
      this.#refuse('no node in the table has its certificate', socket)
    }
    if (this.#isClosed || peerFingerprint(socket) === undefined) {
      refuse()
      return
    }
    this.#unknown.set(socket, setTimeout(refuse, this.#unknownWaitMs).unref())
    socket.once('close', end)
  }

  /**
   * @param proved - the node whose certificate was shown; undefined: it is the one that the greeting names.
   */
  #open(socket: Socket, proved: ClusterNode | undefined): Session {
    const { windowBudget, greeting, readPage, logger } = this.#parts
    const boot = proved?.boot
    const pages = new PagesOfLink(readPage)
    let node = proved
    let isGreeted = false
    let hasControl = false
    const onRecord = (channel: Channel, record: StreamRecord): ChannelSink | undefined => {
      if (record.kind === 'control' && !hasControl) {
        hasControl = true
        const reader = new ControlReader(channel, (greeted) => check(greeted, channel), fail)
        channel.attach(reader)
        if (proved !== undefined) channel.write(formatGreeting(greeting))
        return reader
      }
      if (record.kind === 'control' && isGreeted) return pages.answer(channel, record.endpoint)
      const isOf = record.hop?.node === node?.id
      if (isGreeted && isOf) return this.#hops.accept(channel, record)
      fail(isOf ? 'a stream came before its greeting' : 'a stream names another node')
      return undefined
    }
    let isOver = false
    const session: Session = new Session(socket, {
      role: 'server',
      ...linkLimits(windowBudget),
      onChannel: (channel) => {
        channel.attach(new RecordSink(channel, (record) => onRecord(channel, record), true))
      },
    })
    const late = setTimeout(() => fail('it did not greet in time'), HANDSHAKE_MS).unref()
    const fail = (why: string): void => {
      clearTimeout(late)
      if (!isOver) logger.warn({ node: node?.id, why }, 'link of a node is ended')
      session.destroy()
    }
    const check = (greeted: Greeting, channel: Channel): void => {
      if (proved !== undefined && (greeted.node !== proved.id || greeted.boot !== boot)) {
        fail('it is another node than its row says')
      } else if (proved !== undefined) admit(greeted, channel)
      else {
        // A node that has just joined connects before the others have read its row.
        const look = (): void => {
          const row = this.#table.node(greeted.node)
          if (row?.boot !== greeted.boot || isOver) return
          this.#local.delete(socket)
          node = row
          this.#add(row, session)
          channel.write(formatGreeting(greeting)) // streams may follow
          admit(greeted, channel)
        }
        this.#local.set(socket, look)
        look()
      }
    }
    const admit = ({ version }: Greeting, control: Channel): void => {
      clearTimeout(late)
      isGreeted = true
      this.#controls.add(control)
      void session.closed.then(() => this.#controls.delete(control))
      const { remoteAddress } = socket
      logger.info({ node: node?.id, version, remoteAddress }, 'link of a node accepted')
    }
    void session.closed.then(() => {
      isOver = true
      clearTimeout(late)
    })
    return session
  }

  /** A node that has started again has another certificate: what has the old one is not it. */
  #endOthers(node: ClusterNode): void {
    for (const link of this.#links) {
      const isOfAnother = link.node.id === node.id && link.fingerprint !== node.fingerprint
      if (isOfAnother) link.session.destroy()
    }
  }

  /** Tells of refused connections once in a while: every host that reaches the port can make them. */
  #refuse(why: string, socket: Socket): void {
    this.refused += 1
    const { remoteAddress } = socket
    socket.destroy()
    const nowMs = performance.now()
    if (nowMs - this.#loggedAtMs < REFUSED_LOG_MS) {
      this.#unlogged += 1
      return
    }
    const since = this.#unlogged
    this.#loggedAtMs = nowMs
    this.#unlogged = 0
    this.#parts.logger.warn(
      { remoteAddress, why, unsaid: since },
      'connection to the cluster port refused',
    )
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
