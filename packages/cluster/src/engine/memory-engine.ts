// The engine in the memory of one process: for the processes that it lends it to (see EngineHost), for tests and the
// simulation, and the plainest statement of what an engine does.
import { type Endpoint, EndpointMap } from '@proj/tunnel/server'

import { ClusterError } from '../errors.ts'
import type { ClusterNode, RouteFacts } from '../model.ts'
import type {
  ChangesPage,
  ChangesQuery,
  Engine,
  EngineCallOptions,
  JoinAnswer,
  JoinRequest,
  NodeState,
  PutAnswer,
  RoutePut,
  SweepRequest,
  WriteAnswer,
  WriteBatch,
} from './engine.ts'
import { MemoryRoutes, type StoredRoute } from './memory-routes.ts'

interface StoredNode {
  node: ClusterNode
  beat: number
  leaseUntil: number
  head: number
  floor: number
  isSettled: boolean
  hasLeft: boolean
  readonly routes: MemoryRoutes
}

interface StoredName {
  identity: string
  epoch: number
  since: number
}

/** Names that one sweep looks at; the next one goes on from there. */
const SWEPT_NAMES = 10_000

/** What the engines of several nodes share. */
export class MemoryDatabase {
  readonly nodes: Map<string, StoredNode> = new Map()
  readonly names: EndpointMap<StoredName> = new EndpointMap()
  readonly watchers: Set<(nodeId: string) => void> = new Set()
  readonly #now: () => number
  #swept: Iterator<[Endpoint, StoredName]> | undefined

  /**
   * @param now - its clock, ms since the epoch. Default: the clock of the system.
   */
  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Its clock, ms since the epoch. */
  now(): number {
    return this.#now()
  }

  /** The names that a sweep looks at: all of them, or as many as it may, from where the last one ended. */
  *namesToSweep(): Generator<readonly [Endpoint, StoredName]> {
    let restarts = 0
    for (let left = Math.min(SWEPT_NAMES, this.names.size); left > 0 && restarts < 2;) {
      this.#swept ??= this.names.entries()
      const { done, value } = this.#swept.next()
      if (done === true) {
        this.#swept = undefined
        restarts += 1
        continue
      }
      // what was forgotten meanwhile is not in the map any more
      if (this.names.get(value[0]) !== value[1]) continue
      left -= 1
      yield value
    }
  }

  /** Forgets everything, as a database that was made again. */
  clear(): void {
    this.nodes.clear()
    this.names.clear()
  }
}

/** The engine of one node on a {@link MemoryDatabase}. */
export class MemoryEngine implements Engine {
  readonly #database: MemoryDatabase
  readonly #closed = new AbortController()

  constructor(database: MemoryDatabase) {
    this.#database = database
  }

  /** @inheritdoc */
  async open(options: EngineCallOptions): Promise<void> {
    await this.#turn(options)
  }

  /** @inheritdoc */
  async join(request: JoinRequest, options: EngineCallOptions): Promise<JoinAnswer> {
    await this.#turn(options)
    const { node, head, leaseMs, replaces } = request
    const { nodes } = this.#database
    const known = nodes.get(node.id)
    const previousBoot = known?.node.boot
    if (known !== undefined && previousBoot === node.boot) {
      if (head > known.head || known.hasLeft) {
        known.head = Math.max(head, known.head)
        known.floor = known.head
        known.isSettled = false
        known.hasLeft = false
      }
      return { isReplaced: false, head: known.head, previousBoot, digest: this.#digest(known) }
    }
    const isAlive = known !== undefined && this.#isAlive(known, leaseMs)
    if (replaces !== undefined && isAlive && previousBoot !== replaces) {
      return { isReplaced: true, beat: known.beat }
    }
    const made = {
      node,
      beat: 0,
      leaseUntil: 0,
      head,
      floor: head,
      isSettled: false,
      hasLeft: false,
    }
    nodes.set(node.id, { ...made, routes: new MemoryRoutes() })
    return { isReplaced: false, head, previousBoot, digest: { count: 0, versions: 0 } }
  }

  /** @inheritdoc */
  async write(batch: WriteBatch, options: EngineCallOptions): Promise<WriteAnswer> {
    await this.#turn(options)
    const known = this.#database.nodes.get(batch.node.id)
    if (known === undefined || known.node.boot !== batch.node.boot || known.head !== batch.head) {
      return { isDone: false }
    }
    const at = this.#database.now()
    const wasLapsed = known.leaseUntil <= at
    known.node = batch.node
    known.beat = batch.beat
    known.leaseUntil = at + batch.leaseMs
    known.hasLeft = false
    const puts = batch.puts.map((put, index) => this.#put(put, batch, known, index + 1))
    let head = batch.head + batch.puts.length
    for (const endpoint of batch.removes) {
      head += 1
      this.#remove(known, endpoint, head)
    }
    const left: StoredRoute[] = []
    for (const route of batch.removeUpTo === 0 ? [] : known.routes.after(0)) {
      if (route.version > batch.removeUpTo) break
      if (route.facts !== undefined) left.push(route)
    }
    for (const { endpoint } of left) {
      head += 1
      this.#remove(known, endpoint, head)
    }
    known.head = head
    if (batch.isSettled) known.isSettled = true
    return { isDone: true, head, wasLapsed, puts }
  }

  /** @inheritdoc */
  async nodes(options: EngineCallOptions): Promise<readonly NodeState[]> {
    await this.#turn(options)
    const at = this.#database.now()
    return [...this.#database.nodes.values()].map(
      ({ node, beat, leaseUntil, head, floor, isSettled, hasLeft }) => {
        return { node, beat, leaseLeftMs: leaseUntil - at, head, floor, isSettled, hasLeft }
      },
    )
  }

  /** @inheritdoc */
  async changes(
    { nodeId, after, isSnapshot, limit }: ChangesQuery,
    options: EngineCallOptions,
  ): Promise<ChangesPage | undefined> {
    await this.#turn(options)
    const known = this.#database.nodes.get(nodeId)
    if (known === undefined) return undefined
    const changes: StoredRoute[] = []
    for (const route of known.routes.after(after)) {
      if (changes.length >= limit) break
      if (!isSnapshot || route.facts !== undefined) changes.push(route)
    }
    const { head, floor, isSettled } = known
    return { boot: known.node.boot, head, floor, isSettled, changes }
  }

  /** @inheritdoc */
  async leave({ id, boot }: ClusterNode, options: EngineCallOptions): Promise<void> {
    await this.#turn(options)
    const known = this.#database.nodes.get(id)
    if (known?.node.boot !== boot) return
    known.leaseUntil = 0
    known.hasLeft = true
    known.isSettled = false
    known.floor = known.head
    for (const { endpoint } of known.routes.values()) known.routes.delete(endpoint)
  }

  /** @inheritdoc */
  async sweep(request: SweepRequest, options: EngineCallOptions): Promise<void> {
    await this.#turn(options)
    const { nodes, names } = this.#database
    const at = this.#database.now()
    const own = nodes.get(request.node.id)
    for (const { endpoint, facts, version, at: since } of own?.routes.values() ?? []) {
      if (own === undefined || facts !== undefined || at - since < request.removalsMs) continue
      own.routes.delete(endpoint)
      own.floor = Math.max(own.floor, version)
    }
    for (const [id, { leaseUntil }] of nodes) {
      if (at - leaseUntil >= request.forgetMs) nodes.delete(id)
    }
    for (const [endpoint, { since }] of this.#database.namesToSweep()) {
      if (at - since < request.forgetMs) continue
      let isServed = false
      for (const { routes } of nodes.values()) {
        isServed ||= routes.get(endpoint)?.facts !== undefined
      }
      if (!isServed) names.delete(endpoint)
    }
  }

  /** @inheritdoc */
  async hint(nodeId: string, options: EngineCallOptions): Promise<void> {
    await this.#turn(options)
    for (const watcher of this.#database.watchers) watcher(nodeId)
  }

  /** @inheritdoc */
  async watch(onHint: (nodeId: string) => void, options: EngineCallOptions): Promise<never> {
    await this.#turn(options)
    const watcher = (nodeId: string): void => onHint(nodeId)
    this.#database.watchers.add(watcher)
    return await new Promise<never>((_, reject) => {
      const end = (reason: unknown): void => {
        this.#database.watchers.delete(watcher)
        reject(reason instanceof Error ? reason : new Error(String(reason)))
      }
      options.signal.addEventListener('abort', () => end(options.signal.reason), { once: true })
      const { signal: closed } = this.#closed
      closed.addEventListener('abort', () => end(closed.reason), { once: true })
    })
  }

  /** @inheritdoc */
  async close(): Promise<void> {
    this.#closed.abort(new ClusterError('CLUSTER_CLOSED'))
    await Promise.resolve()
  }

  async #turn({ signal }: EngineCallOptions): Promise<void> {
    await Promise.resolve()
    this.#closed.signal.throwIfAborted()
    signal.throwIfAborted()
  }

  #isAlive({ leaseUntil }: StoredNode, leaseMs: number): boolean {
    const leftMs = leaseUntil - this.#database.now()
    return leftMs > 0 && leftMs <= leaseMs
  }

  #digest({ routes }: StoredNode): { count: number; versions: number } {
    const digest = { count: 0, versions: 0 }
    for (const { endpoint, facts, version, epoch } of routes.values()) {
      const name = this.#database.names.get(endpoint)
      if (facts === undefined || name?.identity !== facts.identity || name.epoch !== epoch) continue
      digest.count += 1
      digest.versions += version
    }
    return digest
  }

  #remove({ routes }: StoredNode, endpoint: Endpoint, version: number): void {
    const at = this.#database.now()
    routes.set({ endpoint, version, facts: undefined, epoch: 0, at })
  }

  #put(put: RoutePut, batch: WriteBatch, own: StoredNode, offset: number): PutAnswer {
    const { endpoint, facts, isReserved, epoch } = put
    const { names } = this.#database
    const at = this.#database.now()
    const name = names.get(endpoint)
    const fresh = Math.max(Math.floor(at * 1000), (name?.epoch ?? 0) + 1, batch.epochFloor + 1)
    if (name !== undefined && name.identity === facts.identity) {
      if (this.#rival(put, name, batch)) {
        const { identity, since } = name
        return { identity, since, isExclusive: true }
      }
      name.epoch = Math.max(name.epoch, epoch)
    } else if (name === undefined) {
      names.set(endpoint, {
        identity: facts.identity,
        epoch: epoch === 0 ? fresh : epoch,
        since: at,
      })
    } else if (epoch > name.epoch || isReserved || !this.#isServed(put, name, batch)) {
      name.epoch = epoch > name.epoch ? epoch : fresh
      name.identity = facts.identity
      name.since = at
    } else {
      const { identity, since } = name
      return { identity, since, isExclusive: false }
    }
    const granted = names.get(endpoint)?.epoch ?? fresh
    own.routes.set({
      endpoint,
      version: batch.head + offset,
      facts,
      epoch: granted,
      at,
    })
    return { epoch: granted }
  }

  /** Routes of an endpoint on other nodes that are alive, under the epoch that is in force. */
  *#others(endpoint: Endpoint, epoch: number, batch: WriteBatch): Generator<RouteFacts> {
    for (const stored of this.#database.nodes.values()) {
      if (stored.node.id === batch.node.id) continue
      if (!this.#isAlive(stored, batch.leaseMs) && !batch.alive.includes(stored.node.id)) continue
      const route = stored.routes.get(endpoint)
      if (route?.facts !== undefined && route.epoch === epoch) yield route.facts
    }
  }

  #isServed({ endpoint }: RoutePut, { epoch }: StoredName, batch: WriteBatch): boolean {
    return this.#others(endpoint, epoch, batch).next().done === false
  }

  #rival({ endpoint, facts }: RoutePut, { epoch }: StoredName, batch: WriteBatch): boolean {
    for (const other of this.#others(endpoint, epoch, batch)) {
      if ((other.exclusive || facts.exclusive) && other.peer !== facts.peer) return true
    }
    return false
  }
}
