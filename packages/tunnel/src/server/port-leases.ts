import type { Logger } from '../logger.ts'
import type { Rejection, RejectionCode } from '../protocol/control-message.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import type { Upstream } from './upstream-registry.ts'

/** An agent's request for a public port. */
export interface PortWish {
  /** The endpoint that visitors of the port reach. */
  readonly endpoint: Endpoint
  /** The identity that asks. */
  readonly identity: string
  /** The port, or 0 for any. */
  readonly port: number
  /** The session that serves it. */
  readonly session: Upstream
}

/** A session's lease of a port. Visitors get through as long as some session has one. */
export interface PortLease {
  /** Number of the port, 1 to 65535. */
  readonly port: number
  /** Its URL; undefined: the agent uses the host it has dialed. */
  readonly url: string | undefined
  /** Releases the port; a second call does nothing. */
  release(): void
}

/** Why an endpoint gets no port. It is sent to the agent, and names no other identity and no program. */
export type PortRejection = Rejection<Extract<RejectionCode, `port-${string}`>>

/** Gives out public ports. */
export interface PublicPortSource {
  /** Opens a port for an endpoint, or joins the endpoint's other sessions on theirs. */
  take(wish: PortWish): Promise<PortLease | PortRejection>
}

/** Delay to advise after a failure of the server itself, ms. */
const RETRY_MS = 10_000

/**
 * The public ports of one session, by endpoint. Opening one takes a while, and the agent may release
 * the endpoint before that: the port is then given back as soon as it is open.
 */
export class PortLeases {
  readonly #source: PublicPortSource
  readonly #logger: Logger
  readonly #leases = new Map<string, PortLease>()
  /** The pending request of each endpoint. */
  readonly #wishes = new Map<string, PortWish>()

  constructor(source: PublicPortSource, logger: Logger) {
    this.#source = source
    this.#logger = logger
  }

  /** Number of pending requests. */
  get pending(): number {
    return this.#wishes.size
  }

  /**
   * Gets a port for an endpoint, in place of the one it has.
   *
   * @returns undefined when the endpoint was released before the port was open.
   */
  async take(wish: PortWish): Promise<PortLease | PortRejection | undefined> {
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
    before?.release() // after the new one, so that a port which stays the same is not closed
    return lease
  }

  /** Releases the port of an endpoint, if it has one or waits for one. */
  release(endpoint: string): void {
    this.#wishes.delete(endpoint)
    const lease = this.#leases.get(endpoint)
    this.#leases.delete(endpoint)
    lease?.release()
  }

  releaseAll(): void {
    this.#wishes.clear()
    for (const endpoint of this.#leases.keys()) this.release(endpoint)
  }

  async #ask(wish: PortWish): Promise<PortLease | PortRejection> {
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

const PORTS_ARE_OFF: PortRejection = {
  code: 'port-off',
  message: 'this server gives no public ports',
}

/** A server without public ports. */
export const noPublicPorts: PublicPortSource = Object.freeze({
  take: () => Promise.resolve(PORTS_ARE_OFF),
})
