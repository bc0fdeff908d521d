import { EventEmitter } from 'node:events'

import type { Endpoint } from '@proj/tunnel/server'

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
 * Where nodes disagree about the holder of a name, only the routes with the highest epoch are seen: the
 * others belong to a holder that has lost the name and does not know it yet.
 */
export class ClusterTable extends EventEmitter<ClusterTableEvents> {
  readonly #nodes = new Map<string, ClusterNode>()
  /** By tenant, then by name, as in the registry: a lookup allocates nothing. */
  readonly #tenants = new Map<string, Map<string, ClusterRoute[]>>()
  /** Routes with an epoch below those of the table: there are such for moments only. */
  readonly #outdated = new Map<string, Map<string, ClusterRoute[]>>()
  readonly #texts = new Map<string, string>()
  #size = 0

  /** Endpoints that another node serves. */
  get size(): number {
    return this.#size
  }

  /** The routes of an endpoint on other nodes, at most one per node. Allocates nothing; the list may change later. */
  routes(endpoint: Endpoint): readonly ClusterRoute[] {
    return this.#tenants.get(endpoint.tenant)?.get(endpoint.name) ?? NONE
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
  *entries(): Generator<[endpoint: Endpoint, routes: readonly ClusterRoute[]]> {
    for (const [tenant, names] of this.#tenants) {
      for (const [name, routes] of names) yield [{ tenant, name }, routes]
    }
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
      known.boot !== node.boot ||
      known.isLeaving !== node.isLeaving ||
      known.version !== node.version
    Object.assign(known, node)
    if (hasChanged) this.emit('node', known, true)
    return known
  }

  /** Removes a node with all its routes. */
  removeNode(id: string): void {
    const node = this.#nodes.get(id)
    if (node === undefined) return
    this.retainRoutes(id, () => false)
    this.#nodes.delete(id)
    this.emit('node', node, false)
  }

  /** Adds a route, or replaces that of the same node for the endpoint. */
  putRoute(endpoint: Endpoint, route: ClusterRoute): void {
    const shared = this.#share(route)
    const seen = this.#tenants.get(endpoint.tenant)?.get(endpoint.name)
    const epoch = seen?.[0]?.epoch ?? 0
    const at = seen?.findIndex(({ node }) => node.id === route.node.id) ?? -1
    if (seen !== undefined && epoch === route.epoch) {
      removeFrom(this.#outdated, endpoint, route.node.id)
      if (at < 0) seen.push(shared)
      else seen[at] = shared
      this.#tell(endpoint, shared, true)
      return
    }
    this.removeRoute(endpoint, route.node.id)
    const left = this.#tenants.get(endpoint.tenant)?.get(endpoint.name)
    if (left !== undefined && (left[0]?.epoch ?? 0) > route.epoch) {
      listIn(this.#outdated, endpoint).push(shared)
      return
    }
    if (left !== undefined && left[0]?.epoch !== route.epoch) {
      listIn(this.#outdated, endpoint).push(...left)
      for (const one of left.splice(0)) this.#tell(endpoint, one, false)
    }
    if (left === undefined) this.#size += 1
    listIn(this.#tenants, endpoint).push(shared)
    this.#tell(endpoint, shared, true)
  }

  /** Removes the route of a node for an endpoint; removing what is not there changes nothing. */
  removeRoute(endpoint: Endpoint, nodeId: string): void {
    if (removeFrom(this.#outdated, endpoint, nodeId) !== undefined) return
    const removed = removeFrom(this.#tenants, endpoint, nodeId)
    if (removed === undefined) return
    const isLast = this.#tenants.get(endpoint.tenant)?.get(endpoint.name) === undefined
    if (isLast) this.#size -= 1
    this.#tell(endpoint, removed, false)
    const outdated = isLast ? takeFrom(this.#outdated, endpoint) : []
    for (const one of outdated) this.putRoute(endpoint, one)
  }

  /** Removes the routes of a node that `isKept` does not hold for. */
  retainRoutes(nodeId: string, isKept: (route: ClusterRoute) => boolean): void {
    for (const routes of [this.#outdated, this.#tenants]) {
      for (const [tenant, names] of routes) {
        for (const [name, list] of names) {
          const route = list.find(({ node }) => node.id === nodeId)
          if (route !== undefined && !isKept(route)) this.removeRoute({ tenant, name }, nodeId)
        }
      }
    }
  }

  #tell(endpoint: Endpoint, route: ClusterRoute, present: boolean): void {
    if (this.listenerCount('route') === 0) return
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

type Lists = Map<string, Map<string, ClusterRoute[]>>

function listIn(lists: Lists, { tenant, name }: Endpoint): ClusterRoute[] {
  let names = lists.get(tenant)
  if (names === undefined) lists.set(tenant, (names = new Map<string, ClusterRoute[]>()))
  let list = names.get(name)
  if (list === undefined) names.set(name, (list = []))
  return list
}

function takeFrom(lists: Lists, { tenant, name }: Endpoint): ClusterRoute[] {
  const names = lists.get(tenant)
  const list = names?.get(name) ?? []
  names?.delete(name)
  if (names?.size === 0) lists.delete(tenant)
  return list
}

function removeFrom(lists: Lists, endpoint: Endpoint, nodeId: string): ClusterRoute | undefined {
  const list = lists.get(endpoint.tenant)?.get(endpoint.name)
  const at = list?.findIndex(({ node }) => node.id === nodeId) ?? -1
  if (list === undefined || at < 0) return undefined
  const [removed] = list.splice(at, 1)
  if (list.length === 0) takeFrom(lists, endpoint)
  return removed
}
