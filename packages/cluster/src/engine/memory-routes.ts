import { type Endpoint, EndpointMap } from '@proj/tunnel/server'

import type { RouteFacts } from '../model.ts'

/** A route of a node as MemoryEngine keeps it. */
export interface StoredRoute {
  readonly endpoint: Endpoint
  readonly version: number
  /** undefined: the node does not serve it any more. */
  readonly facts: RouteFacts | undefined
  readonly epoch: number
  /** When it was written, ms since the epoch. */
  readonly at: number
}

/** Entries that were replaced are kept up to this number and that of the routes together. */
const MIN_SLACK = 1_000

/** The routes of a node by endpoint, and in the order of their versions: what is new is found without a look at the rest. */
export class MemoryRoutes {
  readonly #routes = new EndpointMap<StoredRoute>()
  /** Those of the map, and some that were replaced or deleted. */
  #ordered: StoredRoute[] = []
  #isOrdered = true

  /** The route of an endpoint. */
  get(endpoint: Endpoint): StoredRoute | undefined {
    return this.#routes.get(endpoint)
  }

  /** All routes. */
  values(): Iterable<StoredRoute> {
    return this.#routes.values()
  }

  /** Sets the route of its endpoint. Cheap when its version is the highest, as those of new writes are. */
  set(route: StoredRoute): void {
    const last = this.#ordered.at(-1)
    if (last !== undefined && last.version > route.version) this.#isOrdered = false
    this.#routes.set(route.endpoint, route)
    this.#ordered.push(route)
    if (this.#ordered.length > 2 * this.#routes.size + MIN_SLACK) this.#compact()
  }

  /** Forgets the route of an endpoint. */
  delete(endpoint: Endpoint): void {
    this.#routes.delete(endpoint)
    if (this.#ordered.length > 2 * this.#routes.size + MIN_SLACK) this.#compact()
  }

  /** Routes with a higher version, in the order of their versions. */
  *after(version: number): Generator<StoredRoute> {
    this.#order()
    let [low, high] = [0, this.#ordered.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#ordered[middle]?.version ?? 0) > version) high = middle
      else low = middle + 1
    }
    for (let at = low; at < this.#ordered.length; at += 1) {
      const route = this.#ordered[at]
      if (route !== undefined && this.#isCurrent(route)) yield route
    }
  }

  #isCurrent(route: StoredRoute): boolean {
    return this.#routes.get(route.endpoint) === route
  }

  #order(): void {
    if (this.#isOrdered) return
    this.#ordered.sort((one, other) => one.version - other.version)
    this.#isOrdered = true
  }

  #compact(): void {
    this.#ordered = this.#ordered.filter((route) => this.#isCurrent(route))
  }
}
