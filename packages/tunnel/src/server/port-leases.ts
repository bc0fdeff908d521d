import type { Logger } from '../logger.ts'
import type { PortLease, PortRefusal, PortWish, PublicPortSource } from './public-port.ts'

/** When it is worth asking again after a failure of the server's own, ms. */
const RETRY_MS = 10_000

/**
 * The public ports of one session, by endpoint. Getting one takes a while, in which the agent may have
 * thought better of it: what is released meanwhile is given back as soon as it is there.
 */
export class PortLeases {
  readonly #source: PublicPortSource
  readonly #logger: Logger
  readonly #leases = new Map<string, PortLease>()
  /** The wish of each endpoint that is under way. */
  readonly #wishes = new Map<string, PortWish>()

  constructor(source: PublicPortSource, logger: Logger) {
    this.#source = source
    this.#logger = logger
  }

  /** Wishes that are under way. */
  get pending(): number {
    return this.#wishes.size
  }

  /**
   * Gets a port for an endpoint, in place of the one it has.
   *
   * @returns undefined when the endpoint was released meanwhile.
   */
  async take(wish: PortWish): Promise<PortLease | PortRefusal | undefined> {
    const endpoint = wish.endpoint.name
    this.#wishes.set(endpoint, wish)
    const lease = await this.#ask(wish)
    const isWanted = this.#wishes.get(endpoint) === wish
    if (isWanted) this.#wishes.delete(endpoint)
    if ('code' in lease) return isWanted ? lease : undefined
    if (!isWanted) {
      lease.release()
      return undefined
    }
    const before = this.#leases.get(endpoint)
    this.#leases.set(endpoint, lease)
    before?.release() // after the new one, so that a port which stays is never without
    return lease
  }

  /** Gives up the port of an endpoint, if it has one or waits for one. */
  release(endpoint: string): void {
    this.#wishes.delete(endpoint)
    const lease = this.#leases.get(endpoint)
    this.#leases.delete(endpoint)
    lease?.release()
  }

  /** Gives up every port. */
  releaseAll(): void {
    this.#wishes.clear()
    for (const endpoint of this.#leases.keys()) this.release(endpoint)
  }

  async #ask(wish: PortWish): Promise<PortLease | PortRefusal> {
    try {
      return await this.#source.take(wish)
    } catch (error) {
      const { endpoint, port } = wish
      this.#logger.error(
        { err: error, endpoint: endpoint.name, port },
        'no public port for an endpoint',
      )
      return {
        code: 'port-unavailable',
        message: 'this server cannot open a port now',
        retryAfterMs: RETRY_MS,
      }
    }
  }
}

const PORTS_ARE_OFF: PortRefusal = {
  code: 'port-off',
  message: 'this server gives no public ports',
}

/** A server without public ports. */
export const noPublicPorts: PublicPortSource = Object.freeze({
  take: () => Promise.resolve(PORTS_ARE_OFF),
})
