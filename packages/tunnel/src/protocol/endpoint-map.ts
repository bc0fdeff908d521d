import type { Endpoint } from './endpoint.ts'

/** Values by tenant, then by name: a lookup allocates nothing, and names of different tenants cannot collide. */
export class EndpointMap<T> {
  readonly #tenants = new Map<string, Map<string, T>>()
  #size = 0

  /** Number of endpoints that have a value. */
  get size(): number {
    return this.#size
  }

  /** The value of an endpoint. */
  get({ tenant, name }: Endpoint): T | undefined {
    return this.#tenants.get(tenant)?.get(name)
  }

  /** Sets the value of an endpoint. */
  set({ tenant, name }: Endpoint, value: T): void {
    let names = this.#tenants.get(tenant)
    if (names === undefined) this.#tenants.set(tenant, (names = new Map<string, T>()))
    const before = names.size
    names.set(name, value)
    this.#size += names.size - before
  }

  /** Removes the value of an endpoint; removing what is not there changes nothing. */
  delete({ tenant, name }: Endpoint): void {
    const names = this.#tenants.get(tenant)
    if (names?.delete(name) !== true) return
    this.#size -= 1
    if (names.size === 0) this.#tenants.delete(tenant)
  }

  /** All values. */
  *values(): Generator<T> {
    for (const names of this.#tenants.values()) yield* names.values()
  }

  /** All endpoints with their values. */
  *entries(): Generator<[endpoint: Endpoint, value: T]> {
    for (const [tenant, names] of this.#tenants) {
      for (const [name, value] of names) yield [{ tenant, name }, value]
    }
  }

  /** Removes all values. */
  clear(): void {
    this.#tenants.clear()
    this.#size = 0
  }
}
