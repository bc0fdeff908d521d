import type { Endpoint } from '@proj/tunnel/server'

import type { ChangesPage, Engine, NodeState, RouteChange } from './engine/engine.ts'
import { ClusterError, isClusterError } from './errors.ts'
import type { ClusterNode, ClusterRoute, RouteFacts } from './model.ts'
import type { ResolvedMembershipOptions } from './options.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import { Wake } from './wake.ts'

/** Another node, as far as it was read. */
interface Followed {
  state: NodeState
  /** When it or its last renewal was first seen, on the own clock. */
  beatAt: number
  /** Set while it is in the table. */
  node: ClusterNode | undefined
  /** Version up to which its routes were read; -1 before they were read first. */
  known: number
}

/** What a follower needs to know of the node that it runs on. */
export interface FollowerContext {
  readonly selfId: string
  /** Since when the node renews its own lease without a failure, on its clock; Infinity: it does not. */
  readonly renewsSince: () => number
  /** A route of another node was read. */
  readonly onRoute: (endpoint: Endpoint, facts: RouteFacts, epoch: number) => void
  /** Something of another node cannot be read; the rest is. */
  readonly onProblem: (error: ClusterError) => void
}

/**
 * Reads what the other nodes store, and keeps the table by it.
 *
 * A node counts as gone when its lease is over by the clock of the database and no renewal was seen for a whole
 * lease in which this node read and renewed its own without a failure. So nothing is judged while the database
 * is away, read only or frozen, nor after its clock was set.
 */
export class Follower {
  readonly #engine: Engine
  readonly #table: ClusterTable
  readonly #options: ResolvedMembershipOptions
  readonly #context: FollowerContext
  readonly #followed = new Map<string, Followed>()
  readonly #hinted = new Set<string>()
  /** There was a hint of a node that is not in the table. */
  #isUnknownHinted = false
  /** When hints were followed last. */
  #hintedAt = -Infinity
  readonly #wake: Wake
  #readsSince = Infinity
  #readAt = -Infinity

  constructor(
    engine: Engine,
    table: ClusterTable,
    options: ResolvedMembershipOptions,
    context: FollowerContext,
  ) {
    this.#engine = engine
    this.#table = table
    this.#options = options
    this.#context = context
    this.#wake = new Wake(options.clock)
  }

  /** When all nodes were read last, on the own clock; -Infinity: never. */
  get readAt(): number {
    return this.#readAt
  }

  /** Ids of the nodes that may be alive: those of the table, and those that were not watched for a lease. */
  alive(): string[] {
    const from = this.#judgesFrom()
    const { leaseMs, clock } = this.#options
    return [...this.#followed]
      .filter(
        ([, { node, beatAt, state }]) =>
          node !== undefined || (!state.hasLeft && clock.now() - Math.max(beatAt, from) < leaseMs),
      )
      .map(([id]) => id)
  }

  /** A node said that it wrote. */
  hint(nodeId: string): void {
    if (nodeId === this.#context.selfId) return
    if (this.#followed.get(nodeId)?.node !== undefined) this.#hinted.add(nodeId)
    else this.#isUnknownHinted = true
    this.#wake.set()
  }

  /** Reads all nodes once. */
  async readAll(signal: AbortSignal): Promise<void> {
    const startedAt = this.#options.clock.now()
    try {
      this.#hinted.clear()
      this.#isUnknownHinted = false
      this.#judge(await this.#engine.nodes({ signal }), startedAt)
      for (const followed of this.#followed.values()) {
        if (followed.node === undefined) continue
        await this.#read(followed, signal).catch((error: unknown) => {
          // rows that no node has written: they concern this node only
          if (!isClusterError(error, 'CLUSTER_DATABASE_FAILED')) throw error
          this.#context.onProblem(error)
        })
      }
    } catch (error) {
      this.#readsSince = Infinity
      throw error
    }
  }

  /** Waits for a hint or the next poll, and reads. */
  async readNext(signal: AbortSignal): Promise<void> {
    const { pollMs, clock } = this.#options
    await this.#wake.wait(Math.max(0, this.#readAt + pollMs - clock.now()), signal)
    signal.throwIfAborted()
    await this.#paceHints(signal)
    const hinted = [...this.#hinted].map((id) => this.#followed.get(id))
    const isKnown = !this.#isUnknownHinted && hinted.every((one) => one?.node !== undefined)
    if (!isKnown || hinted.length === 0 || clock.now() - this.#readAt >= pollMs) {
      await this.readAll(signal)
      return
    }
    this.#hinted.clear()
    try {
      for (const followed of hinted) {
        if (followed !== undefined) await this.#read(followed, signal, true)
      }
    } catch (error) {
      this.#readsSince = Infinity
      throw error
    }
  }

  /** Every client of the database can send hints, at any rate, and in the name of any node. */
  async #paceHints(signal: AbortSignal): Promise<void> {
    const { pollMs, batchMs, hintMs, clock } = this.#options
    for (;;) {
      const nextAt = this.#isUnknownHinted ? this.#readAt + hintMs : this.#hintedAt + batchMs
      const waitMs = Math.min(nextAt, this.#readAt + pollMs) - clock.now()
      if (waitMs <= 0) break
      await new Wake(clock).wait(waitMs, signal)
      signal.throwIfAborted()
    }
    this.#hintedAt = clock.now()
  }

  #judgesFrom(): number {
    return Math.max(this.#readsSince, this.#context.renewsSince())
  }

  #judge(states: readonly NodeState[], startedAt: number): void {
    const { leaseMs, clock } = this.#options
    const at = clock.now()
    // a read that took long, or a long time without one, proves nothing about renewals meanwhile
    if (this.#readsSince === Infinity || at - this.#readAt > leaseMs / 2) this.#readsSince = at
    if (at - startedAt > leaseMs / 2) this.#readsSince = at
    // a database that has forgotten this node has forgotten others too: they are given time to come back
    if (!states.some(({ node }) => node.id === this.#context.selfId)) this.#readsSince = Infinity
    this.#readAt = at
    const ids = new Set<string>()
    for (const state of states) {
      if (state.node.id === this.#context.selfId) continue
      ids.add(state.node.id)
      this.#meet(state, at)
    }
    const isOver = ({ beatAt, state }: Followed): boolean =>
      this.#isLapsed(state) && at - Math.max(beatAt, this.#judgesFrom()) >= leaseMs
    for (const [id, followed] of this.#followed) {
      const { node, state } = followed
      const isAbsent = !ids.has(id)
      if (isAbsent) followed.state = { ...state, leaseLeftMs: 0 }
      if (state.hasLeft || isOver(followed)) {
        if (node !== undefined) this.#drop(id, followed)
        if (isAbsent) this.#followed.delete(id)
      }
    }
  }

  #meet(state: NodeState, at: number): void {
    const { id, boot } = state.node
    const known = this.#followed.get(id)
    const followed = known ?? { state, beatAt: at, node: undefined, known: -1 }
    if (known === undefined) this.#followed.set(id, followed)
    const isRestarted = followed.state.node.boot !== boot
    const hasRenewed = followed.state.beat !== state.beat
    if (isRestarted && followed.node !== undefined) this.#drop(id, followed)
    if (hasRenewed || isRestarted) followed.beatAt = at
    followed.state = state
    if (state.hasLeft) return
    if (followed.node === undefined && this.#isLapsed(state) && !hasRenewed) return
    followed.node = this.#table.putNode(state.node)
  }

  /** Whether a lease is over. One that is longer than it can be says that the clock was set back. */
  #isLapsed({ leaseLeftMs }: NodeState): boolean {
    return leaseLeftMs <= 0 || leaseLeftMs > this.#options.leaseMs
  }

  #drop(id: string, followed: Followed): void {
    this.#table.removeNode(id)
    followed.node = undefined
    followed.known = -1
  }

  async #read(followed: Followed, signal: AbortSignal, isHinted = false): Promise<void> {
    const { state } = followed
    if (!state.isSettled && !isHinted) return
    if (!isHinted && followed.known >= state.head && state.floor <= followed.known) return
    const { id, boot } = state.node
    if (followed.known >= 0 && (await this.#readPages(followed, false, signal))) return
    if (followed.node === undefined || followed.state.node.boot !== boot) return
    const seen = new Set<ClusterRoute>()
    if (!(await this.#readPages(followed, true, signal, seen))) return
    this.#table.retainRoutes(id, (route) => seen.has(route))
  }

  /** @returns whether all were read; otherwise everything has to be read, now or with the next poll. */
  async #readPages(
    followed: Followed,
    isSnapshot: boolean,
    signal: AbortSignal,
    seen?: Set<ClusterRoute>,
  ): Promise<boolean> {
    const { pageRows: limit } = this.#options
    const { id: nodeId, boot } = followed.state.node
    let after = isSnapshot ? 0 : followed.known
    let first: ChangesPage | undefined
    for (;;) {
      const page = await this.#engine.changes({ nodeId, after, isSnapshot, limit }, { signal })
      const { node } = followed
      if (page === undefined || page.boot !== boot || node === undefined) return !isSnapshot
      // of another start, half stored, or restored from before: the next poll sees more
      if (!page.isSettled || page.head < after) return !isSnapshot
      first ??= page
      if (!isSnapshot && page.floor > followed.known) return false
      for (const change of page.changes) this.#apply(node, change, seen)
      const last = page.changes.at(-1)
      if (last === undefined || page.changes.length < limit) {
        // what changed while a snapshot was read comes again
        followed.known = isSnapshot ? first.head : page.head
        return true
      }
      after = last.version
      if (!isSnapshot) followed.known = after
    }
  }

  #apply(
    node: ClusterNode,
    { endpoint, facts, epoch, problem }: RouteChange,
    seen: Set<ClusterRoute> | undefined,
  ): void {
    if (problem !== undefined) {
      const { tenant, name } = endpoint
      const detail = `${JSON.stringify({ node: node.id, tenant, name })}: ${problem}`
      this.#context.onProblem(new ClusterError('CLUSTER_ROW_INVALID', detail))
    }
    // a name that is claimed and has no session yet is nothing to send visitors to
    if (facts === undefined || facts.sessions === 0) this.#table.removeRoute(endpoint, node.id)
    else {
      const route = this.#table.putRoute(endpoint, { ...facts, node, epoch })
      seen?.add(route)
    }
    if (facts !== undefined) this.#context.onRoute(endpoint, facts, epoch)
  }
}
