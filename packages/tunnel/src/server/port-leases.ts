import type { Logger } from '../logger.ts'
import type { Rejection, RejectionCode } from '../protocol/control-message.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import type { Upstream } from './upstream-registry.ts'

/** A port that an agent asks for, with an endpoint it may serve. */
export interface PortWish {
  /** The endpoint that visitors of the port reach. */
  readonly endpoint: Endpoint
  /** Who asks. */
  readonly identity: string
  /** The port, or 0 for any. */
  readonly port: number
  /** The session that serves it. */
  readonly session: Upstream
}

/** A session's hold on a port. The port is open to visitors as long as some session has one. */
export interface PortLease {
  /** The port. */
  readonly port: number
  /** URL people find it under; undefined where the agent knows one as good. */
  readonly url: string | undefined
  /** Gives the hold up; again is nothing. */
  release(): void
}

/** Why an endpoint gets no port, as the agent is told: no other identity and no program is named. */
export type PortRejection = Rejection<Extract<RejectionCode, `port-${string}`>>

/** Gives out public ports. */
export interface PublicPortSource {
  /** Opens a port for an endpoint, or joins the endpoint's other sessions on theirs. */
  take(wish: PortWish): Promise<PortLease | PortRejection>
}

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
