import type { Logger } from '@proj/tunnel'

import type { ReservationStore } from '../store/reservation-store.ts'
import type { PortOwner } from './port-owner.ts'
import type { PortReservations } from './port-reservations.ts'

/**
 * The ports that are kept with reserved names. A reserved name that has had a public port gets the same
 * one again after a restart of the server, and nobody else gets it meanwhile.
 */
export class StoredPorts implements PortReservations {
  readonly #store: ReservationStore
  readonly #logger: Logger
  /** Who had a port when it was last written; what is still true is asked of the store. */
  readonly #owners = new Map<number, PortOwner>()

  /** @throws {StoreError} when the store cannot be read. */
  constructor(store: ReservationStore, logger: Logger) {
    this.#store = store
    this.#logger = logger
    for (const { port, tenant, identity, endpoint } of store.list()) {
      if (port !== undefined) this.#owners.set(port, { tenant, identity, endpoint })
    }
  }

  /** @inheritdoc */
  ownerOf(port: number): PortOwner | undefined {
    const owner = this.#owners.get(port)
    if (owner === undefined) return undefined
    if (this.portOf(owner) === port) return owner
    this.#owners.delete(port) // the name was released, or has another port
    return undefined
  }

  /** @inheritdoc */
  portOf({ tenant, identity, endpoint }: PortOwner): number | undefined {
    const found = this.#store.find(tenant, endpoint)
    return found?.identity === identity ? found.port : undefined
  }

  /** @inheritdoc */
  keep(owner: PortOwner, port: number): void {
    void this.#keep(owner, port).catch((error: unknown) => {
      // It is served all the same; the next registration tries again.
      this.#logger.error({ err: error, port, endpoint: owner.endpoint }, 'public port not kept')
    })
  }

  async #keep({ tenant, identity, endpoint }: PortOwner, port: number): Promise<void> {
    const found = this.#store.find(tenant, endpoint)
    if (found?.identity !== identity) return
    if (found.port !== port) {
      await this.#store.reserve({ ...found, port })
      this.#logger.info({ port, endpoint, identity }, 'public port kept with its name')
    }
    this.#owners.set(port, { tenant, identity, endpoint })
  }
}
