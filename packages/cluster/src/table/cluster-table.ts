import { EventEmitter } from 'node:events'

import { type Endpoint, EndpointMap } from '@proj/tunnel/server'

import type { ClusterNode, ClusterRoute } from '../model.ts'

/** Events of the table. */
export interface ClusterTableEvents {
  /** A node came, changed (`present` is true for both) or went. */
  node: [node: ClusterNode, present: boolean]
  /** A node began to serve an endpoint or changed how (`present` is true for both), or ceased to. */
  route: [endpoint: Endpoint, route: ClusterRoute, present: boolean]
}

const NONE: readonly ClusterRoute[] = Object.freeze([])

/** Different texts that are kept only once; beyond it all are forgotten, which costs memory, not truth. */
const MAX_SHARED_TEXTS = 20_000

/**
 * What all other nodes serve, in the memory of this one.
 *
 * Where nodes disagree about the holder of a name, only the routes of the one with the highest epoch are seen: the
 * others belong to a holder that has lost the name and does not know it yet.
 */
export class ClusterTable extends EventEmitter<ClusterTableEvents> {
  readonly #nodes = new Map<string, ClusterNode>()
  readonly #seen = new EndpointMap<readonly ClusterRoute[]>()
  /** All routes of the endpoints of which some are not seen: there are such for moments only. */
  readonly #all = new EndpointMap<readonly ClusterRoute[]>()
  readonly #texts = new Map<string, string>()

  /** Endpoints that another node serves. */
  get size(): number {
    return this.#seen.size
  }

  /**
   * The routes of an endpoint on other nodes, at most one per node. Allocates nothing: the same list of the same
   * objects until one of them changes.
   */
  routes(endpoint: Endpoint): readonly ClusterRoute[] {
    return this.#seen.get(endpoint) ?? NONE
  }

  /** Another node, by its id. */
  node(id: string): ClusterNode | undefined {
    return this.#nodes.get(id)
  }

  /** All other nodes. */
  nodes(): Iterable<ClusterNode> {
    return this.#nodes.values()
  }

  /** All endpoints with their routes, for status pages. */
  entries(): Iterable<[endpoint: Endpoint, routes: readonly ClusterRoute[]]> {
    return this.#seen.entries()
  }

  /**
   * Adds a node or changes it in place. A node that started again is removed before, by the caller.
   *
   * @returns the object to use for its routes.
   */
  putNode(node: ClusterNode): ClusterNode {
    const known = this.#nodes.get(node.id)
    if (known === undefined) {
      const own = { ...node }
      this.#nodes.set(node.id, own)
      this.emit('node', own, true)
      return own
    }
    const hasChanged =
      known.address !== node.address ||
      known.fingerprint !== node.fingerprint ||
      known.isLeaving !== node.isLeaving ||
      known.version !== node.version ||
      known.load.sessions !== node.load.sessions ||
      known.load.streams !== node.load.streams
    if (!hasChanged) return known
    Object.assign(known, node)
    this.emit('node', known, true)
    return known
  }

  /** Removes a node with all its routes. */
  removeNode(id: string): void {
    const node = this.#nodes.get(id)
    if (node === undefined) return
    this.#nodes.delete(id) // before its routes: who is told of those can see that it is gone
    this.retainRoutes(id, () => false)
    this.emit('node', node, false)
  }

  /**
   * Adds a route, or replaces that of the same node for the endpoint.
   *
   * @returns the route as it is kept.
   */
  putRoute(endpoint: Endpoint, route: ClusterRoute): ClusterRoute {
    const shared = this.#share(route)
    const all = this.#all.get(endpoint) ?? this.routes(endpoint)
    const at = all.findIndex(({ node }) => node.id === route.node.id)
    const one = [shared] // not a list that can grow: most endpoints have one route
    const more = at < 0 ? [...all, shared] : all.with(at, shared)
    this.#set(endpoint, all.length === 0 ? one : more)
    return shared
  }

  /** Removes the route of a node for an endpoint; removing what is not there changes nothing. */
  removeRoute(endpoint: Endpoint, nodeId: string): void {
    const all = this.#all.get(endpoint) ?? this.routes(endpoint)
    const left = all.filter(({ node }) => node.id !== nodeId)
    if (left.length < all.length) this.#set(endpoint, left)
  }

  /** Removes the routes of a node that `isKept` does not hold for. */
  retainRoutes(nodeId: string, isKept: (route: ClusterRoute) => boolean): void {
    for (const lists of [this.#all, this.#seen]) {
      for (const [endpoint, list] of lists.entries()) {
        const route = list.find(({ node }) => node.id === nodeId)
        if (route !== undefined && !isKept(route)) this.removeRoute(endpoint, nodeId)
      }
    }
  }

  #set(endpoint: Endpoint, all: readonly ClusterRoute[]): void {
    const before = this.routes(endpoint)
    const seen = seenOf(all)
    if (seen === all) this.#all.delete(endpoint)
    else this.#all.set(endpoint, all)
    const isSame = seen.length === before.length && seen.every((one, at) => one === before[at])
    if (isSame) return
    if (seen.length === 0) this.#seen.delete(endpoint)
    else this.#seen.set(endpoint, seen)
    if (this.listenerCount('route') === 0) return
    for (const one of before) {
      if (!seen.some(({ node }) => node.id === one.node.id)) this.#tell(endpoint, one, false)
    }
    for (const one of seen) if (!before.includes(one)) this.#tell(endpoint, one, true)
  }

  #tell(endpoint: Endpoint, route: ClusterRoute, present: boolean): void {
    this.emit('route', { tenant: endpoint.tenant, name: endpoint.name }, route, present)
  }

  /** The same route with texts that are kept once: few agents serve many endpoints. */
  #share(route: ClusterRoute): ClusterRoute {
    return {
      node: route.node,
      epoch: route.epoch,
      identity: this.#shareText(route.identity),
      kind: route.kind,
      sessions: route.sessions,
      exclusive: route.exclusive,
      peer: route.peer === undefined ? undefined : this.#shareText(route.peer),
      reuse: route.reuse,
      strictness: route.strictness,
      rules: route.rules === undefined ? undefined : this.#shareText(route.rules),
      limits: route.limits === undefined ? undefined : this.#shareText(route.limits),
      agents: route.agents,
      isDown: route.isDown,
    }
  }

  #shareText(text: string): string {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    if (this.#texts.size >= MAX_SHARED_TEXTS) this.#texts.clear()
    this.#texts.set(text, text)
    return text
  }
}

/** The routes of the identity that has the name: the one with the highest epoch. */
function seenOf(all: readonly ClusterRoute[]): readonly ClusterRoute[] {
  let [holder] = all
  let isMixed = false
  for (const one of all) {
    if (holder === undefined || one.epoch > holder.epoch) holder = one
    isMixed ||= one.identity !== all[0]?.identity
  }
  return isMixed ? all.filter(({ identity }) => identity === holder?.identity) : all
}
