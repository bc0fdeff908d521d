import type { Logger } from '@proj/tunnel'

import type { ReservationStore } from '../store/reservation-store.ts'
import type { PortOwner } from './port-claims.ts'

/** Ports that are reserved with names. Reading is synchronous. */
export interface PortReservations {
  /** Owner of the reserved name that has this port. */
  ownerOf(port: number): PortOwner | undefined
  /** The port of a name that is reserved for this owner. */
  portOf(owner: PortOwner): number | undefined
  /** Stores the port with the name, if the name is reserved for this owner. */
  keep(owner: PortOwner, port: number): void
}

/** For a server without reserved names. */
export const noPortReservations: PortReservations = Object.freeze({
  ownerOf: () => undefined,
  portOf: () => undefined,
  keep: () => {},
})

/**
 * The ports in the store of reserved names. A reserved name that has had a public port gets the same one
 * again after a restart of the server, and no other endpoint gets it meanwhile.
 */
export class StoredPorts implements PortReservations {
  readonly #store: ReservationStore
  readonly #logger: Logger

  constructor(store: ReservationStore, logger: Logger) {
    this.#store = store
    this.#logger = logger
  }

  /** @inheritdoc */
  ownerOf(port: number): PortOwner | undefined {
    const found = this.#store.findByPort(port)
    if (found === undefined) return undefined
    const { tenant, identity, endpoint: name } = found
    return { endpoint: { tenant, name }, identity }
  }

  /** @inheritdoc */
  portOf({ endpoint, identity }: PortOwner): number | undefined {
    const found = this.#store.find(endpoint)
    return found?.identity === identity ? found.port : undefined
  }

  /** @inheritdoc */
  keep(owner: PortOwner, port: number): void {
    void this.#keep(owner, port).catch((error: unknown) => {
      // It is served nevertheless; the next registration tries again.
      this.#logger.error(
        { err: error, port, endpoint: owner.endpoint.name },
        'public port not stored',
      )
    })
  }

  async #keep({ endpoint, identity }: PortOwner, port: number): Promise<void> {
    const found = this.#store.find(endpoint)
    if (found?.identity !== identity) return
    if (found.port === port) return
    const outcome = await this.#store.reserve({ ...found, port })
    const fields = { port, endpoint: endpoint.name, identity }
    if (outcome.ok && outcome.reservation.port === port) {
      this.#logger.info(fields, 'public port stored with its name')
    } else this.#logger.warn(fields, 'public port not stored: it is reserved with another name')
  }
}
