import type { Socket } from 'node:net'

import type { Session, WindowBudget } from '@proj/mux'
import type { Logger } from '@proj/tunnel'
import {
  HopAcceptor,
  readRouteRules,
  type ReadVisitorRules,
  type RemoteUpstreams,
  type Upstream,
  type UpstreamRegistry,
  type VisitorRules,
} from '@proj/tunnel/server'
import type { Endpoint } from '@proj/tunnel/server'

import type { ClusterNode, ClusterRoute } from '../model.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import { LINK_PROTOCOL } from './control-stream.ts'
import { LinkAcceptor } from './link-acceptor.ts'
import type { LinkTls } from './link-tls.ts'
import { type LinkParts, type LinkState, NodeLink } from './node-link.ts'
import type { NodePage, ReadNodePage } from './node-page.ts'
import { NodeUpstream } from './node-upstream.ts'

/** What links are made of. */
export interface ClusterLinksOptions<Rules extends VisitorRules> {
  /** This node, as its row says. */
  readonly self: { readonly id: string; readonly boot: string; readonly version: string }
  /** Certificate that its row has the fingerprint of, and the CA where there is one. */
  readonly tls: LinkTls
  /**
   * Whether nodes with a unix socket as their address are reached there, without TLS: they are processes of this
   * program, and who may open the socket is a matter of its folder. Default: false, and such nodes are not reached.
   */
  readonly isLocal?: boolean
  /** What the other nodes serve. */
  readonly table: ClusterTable
  /** Where visitors look for agents; it gets the other nodes as its second tier. */
  readonly registry: UpstreamRegistry<Rules>
  /** Reads what an agent demands of visitors, as for the agents of this node. */
  readonly readVisitorRules: ReadVisitorRules<Rules>
  /** Admits no visitor: in place of rules that this node cannot read. */
  readonly closedRules: Rules
  /** Memory that windows of all sessions may grow by together. Default: each link has its own limit. */
  readonly windowBudget?: WindowBudget
  /** Reads a page of this node's admin port for another node. Default: other nodes get none. */
  readonly readPage?: ReadNodePage
  /**
   * Another node stops: what visitors of this one have over this session without an end of its own is to end now, as its
   * protocol wants. Default: it ends when the node has stopped.
   */
  readonly onLongLivedOver?: (session: Session) => void
  /**
   * How long a connection waits for its node to come into the table, ms, 0 to 5000: a node that has just joined
   * connects before the others have read its row. Default: 3000.
   */
  readonly unknownWaitMs?: number
  /** Info when a link is up, warn when it is lost or refused. */
  readonly logger: Logger
}

/** A link as status pages and metrics show it. */
export interface LinkStatus {
  readonly node: ClusterNode
  readonly state: LinkState
  /** Streams of visitors of this node that are open. */
  readonly openStreams: number
  /** Streams opened since the link was first made. */
  readonly hops: number
}

/** Streams that may finish when their node is gone from the table, ms; it is dead, or it has started again. */
const RETIRE_MS = 30_000
/** Different rules that are kept parsed; beyond it all are forgotten, and read again. */
const MAX_PARSED_RULES = 10_000
/** Tenants, and agents of theirs, of one link that are remembered before those without open streams are forgotten. */
const MAX_UNUSED = 256
/** A node that is leaving is taken when there is no other. */
const LEAVING_LOAD = 2 ** 40

/**
 * What happens between this node and the others: carries visitors of this one to the agents of others, and those of
 * others to the agents of this one.
 */
export class ClusterLinks<Rules extends VisitorRules> implements RemoteUpstreams<
  Rules,
  ClusterRoute
> {
  readonly #options: ClusterLinksOptions<Rules>
  readonly #parts: LinkParts
  readonly #acceptor: LinkAcceptor
  readonly #hops: HopAcceptor
  readonly #links = new Map<string, OwnLink>()
  readonly #parsed = new Map<string, readonly Rules[]>()
  readonly #closed: readonly Rules[]
  /** Links to nodes that are gone or have another address, while their last streams run. */
  readonly #retiring = new Set<NodeLink>()
  /** Of links that are over. */
  readonly #past = { connections: 0, sent: 0, received: 0 }
  #isClosed = false

  constructor(options: ClusterLinksOptions<Rules>) {
    const { self, tls, isLocal = false, table, registry, windowBudget, logger } = options
    const { readPage, onLongLivedOver, unknownWaitMs } = options
    this.#options = options
    const { id: node, boot, version } = self
    const greeting = { protocol: LINK_PROTOCOL, node, boot, version }
    this.#parts = { greeting, tls, isLocal, windowBudget, readPage, onLongLivedOver, logger }
    this.#hops = new HopAcceptor(registry, logger)
    this.#acceptor = new LinkAcceptor(this.#parts, table, this.#hops, unknownWaitMs)
    this.#closed = [options.closedRules]
    table.on('node', (one, isPresent) => this.#nodeChanged(one, isPresent))
    table.on('route', (endpoint, route, isPresent) => {
      // An agent that left in good order is not expected back; those of a node that is gone are.
      const isLost = !isPresent && (route.node.isLeaving || table.node(route.node.id) === undefined)
      registry.remoteChanged(endpoint, isLost)
    })
    registry.setRemote(this)
  }

  /** Takes a connection to the cluster port over. */
  accept(socket: Socket): void {
    this.#acceptor.accept(socket)
  }

  /** Takes a connection to the unix socket of this node over: its peer is what it says it is. */
  acceptLocal(socket: Socket): void {
    this.#acceptor.acceptLocal(socket)
  }

  /** Links of this node to others, of all nodes in the table. */
  *links(): Generator<LinkStatus> {
    for (const node of this.#options.table.nodes()) {
      const link = this.#links.get(node.id)?.link
      yield {
        node,
        state: this.state(node.id),
        openStreams: link?.openStreams ?? 0,
        hops: link?.opened ?? 0,
      }
    }
  }

  /** What the link to another node is doing; `idle` for a node that is not known. */
  state(nodeId: string): LinkState {
    return this.#links.get(nodeId)?.link.state ?? 'idle'
  }

  /** Links of this node to others since its start, also to nodes that are gone. */
  get opened(): {
    readonly connections: number
    readonly bytesSent: number
    readonly bytesReceived: number
  } {
    let { connections, sent, received } = this.#past
    const open = [...this.#links.values()].map(({ link }) => link)
    for (const { connections: made, bytes } of [...open, ...this.#retiring]) {
      connections += made
      sent += bytes.sent
      received += bytes.received
    }
    return { connections, bytesSent: sent, bytesReceived: received }
  }

  /** Links of other nodes to this one, all together. */
  get accepted(): {
    readonly links: number
    readonly openStreams: number
    readonly hops: number
    readonly refusedHops: number
    readonly refusedConnections: number
    readonly bytesSent: number
    readonly bytesReceived: number
  } {
    const { sent, received } = this.#acceptor.bytes
    return {
      links: this.#acceptor.size,
      openStreams: this.#acceptor.openStreams,
      hops: this.#hops.accepted,
      refusedHops: this.#hops.refused,
      refusedConnections: this.#acceptor.refused,
      bytesSent: sent,
      bytesReceived: received,
    }
  }

  /** @inheritdoc */
  routes(endpoint: Endpoint): readonly ClusterRoute[] {
    return this.#options.table.routes(endpoint)
  }

  /**
   * Waits until there are links to all nodes that are in the table now: visitors can then be carried.
   *
   * @param signal - ends the wait, for a node that does not answer.
   */
  async ready(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#links.values()].map(({ link }) => link.whenUp(signal)))
  }

  /**
   * Asks another node for a page of its admin port.
   *
   * @throws {Error} when there is no such node, it does not answer, or its page is longer than 4 MiB; the reason of the
   *   signal.
   */
  async ask(nodeId: string, path: string, signal: AbortSignal): Promise<NodePage> {
    const node = this.#options.table.node(nodeId)
    if (node === undefined) throw new Error('there is no such node')
    const { link } = this.#links.get(nodeId) ?? this.#linkTo(node)
    await link.whenUp(signal)
    return await link.ask(path, signal)
  }

  /** @inheritdoc */
  upstream({ node }: ClusterRoute, { tenant }: Endpoint, agentKey?: string): Upstream {
    const own = this.#links.get(node.id) ?? this.#linkTo(node)
    const all = this.#upstreamOf(own, tenant, tenant)
    if (agentKey === undefined) return all
    return this.#upstreamOf(own, tenant, `${tenant}\0${agentKey}`, { agentKey, all })
  }

  #upstreamOf(
    own: OwnLink,
    tenant: string,
    key: string,
    bound?: { readonly agentKey: string; readonly all: NodeUpstream },
  ): NodeUpstream {
    let upstream = own.upstreams.get(key)
    if (upstream === undefined) {
      const { self, table, registry } = this.#options
      const { link } = own
      if (own.upstreams.size >= own.maxUpstreams) forgetUnused(own, bound?.all)
      upstream = new NodeUpstream(link, tenant, self.id, table, registry, bound)
      own.upstreams.set(key, upstream)
    }
    return upstream
  }

  /** @inheritdoc */
  load({ node }: ClusterRoute): number {
    const own = this.#links.get(node.id)?.link.openStreams ?? 0
    return node.load.streams + own + (node.isLeaving ? LEAVING_LOAD : 0)
  }

  /** @inheritdoc */
  rules({ rules }: ClusterRoute): readonly Rules[] {
    if (rules === undefined) return NO_RULES
    let parsed = this.#parsed.get(rules)
    if (parsed === undefined) {
      parsed = this.#parse(rules)
      if (this.#parsed.size >= MAX_PARSED_RULES) this.#parsed.clear()
      this.#parsed.set(rules, parsed)
    }
    return parsed
  }

  /** @inheritdoc */
  get hasLongLived(): boolean {
    return this.#hops.hasLongLived
  }

  /** @inheritdoc */
  endLongLived(): void {
    this.#acceptor.endLongLived()
    this.#hops.endTcp()
  }

  #parse(rules: string): readonly Rules[] {
    try {
      return readRouteRules(rules, this.#options.readVisitorRules)
    } catch (error) {
      const why =
        'rules of an endpoint on another node cannot be read: it is closed to visitors of this node'
      this.#options.logger.error({ err: error }, why)
      return this.#closed
    }
  }

  /**
   * Takes and opens no more streams; those that are open finish.
   *
   * @param signal - ends the wait.
   */
  async close(signal: AbortSignal): Promise<void> {
    this.#isClosed = true
    const retired = [...this.#links.values()].map(({ link }) => this.#retire(link, signal))
    this.#links.clear()
    await Promise.all([...retired, this.#acceptor.close(signal)])
  }

  #linkTo(node: ClusterNode): OwnLink {
    const link = new NodeLink(node, this.#parts)
    const own = { link, upstreams: new Map<string, NodeUpstream>(), maxUpstreams: MAX_UNUSED }
    if (this.#isClosed) void own.link.retire(AbortSignal.abort())
    else this.#links.set(node.id, own)
    own.link.start()
    return own
  }

  async #retire(link: NodeLink, signal: AbortSignal): Promise<void> {
    this.#retiring.add(link)
    await link.retire(signal)
    this.#retiring.delete(link)
    const { connections, bytes } = link
    this.#past.connections += connections
    this.#past.sent += bytes.sent
    this.#past.received += bytes.received
  }

  #nodeChanged(node: ClusterNode, isPresent: boolean): void {
    const own = this.#links.get(node.id)
    if (isPresent && own?.link.fits(node) === true) return
    if (own !== undefined) {
      this.#links.delete(node.id)
      void this.#retire(own.link, AbortSignal.timeout(RETIRE_MS))
    }
    if (isPresent && !this.#isClosed) this.#linkTo(node)
  }
}

/** A link with what uses it, by tenant, and by the agent that visitors are bound to. */
interface OwnLink {
  readonly link: NodeLink
  readonly upstreams: Map<string, NodeUpstream>
  /** With so many of them, those without open streams are forgotten: all in use are looked at seldom. */
  maxUpstreams: number
}

function forgetUnused(own: OwnLink, except: NodeUpstream | undefined): void {
  const { upstreams } = own
  for (const [key, upstream] of upstreams) {
    if (upstream.isUsed || upstream === except) continue
    upstreams.delete(key)
    upstream.forget()
  }
  own.maxUpstreams = Math.max(MAX_UNUSED, 2 * upstreams.size)
}

const NO_RULES: readonly never[] = Object.freeze([])
