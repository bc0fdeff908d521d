import type { Endpoint } from '@proj/tunnel/server'

/** Values by tenant, then by name: a lookup allocates nothing, and names of different tenants cannot collide. */
export class EndpointMap<T> {
  readonly #tenants = new Map<string, Map<string, T>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(endpoint: Endpoint): T | undefined {
    return this.#tenants.get(endpoint.tenant)?.get(endpoint.name)
  }

  set({ tenant, name }: Endpoint, value: T): void {
    let names = this.#tenants.get(tenant)
    if (names === undefined) this.#tenants.set(tenant, (names = new Map<string, T>()))
    const before = names.size
    names.set(name, value)
    this.#size += names.size - before
  }

  delete({ tenant, name }: Endpoint): void {
    const names = this.#tenants.get(tenant)
    if (names?.delete(name) !== true) return
    this.#size -= 1
    if (names.size === 0) this.#tenants.delete(tenant)
  }

  *values(): Generator<T> {
    for (const names of this.#tenants.values()) yield* names.values()
  }

  *entries(): Generator<[endpoint: Endpoint, value: T]> {
    for (const [tenant, names] of this.#tenants) {
      for (const [name, value] of names) yield [{ tenant, name }, value]
    }
  }
}
