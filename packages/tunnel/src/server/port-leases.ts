import type { Logger } from '../logger.ts'
import type { Rejection, RejectionCode } from '../protocol/control-message.ts'
import type { Endpoint } from '../protocol/endpoint.ts'
import type { Upstream } from './upstream.ts'

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

/** The answer of a source; a failure is logged and rejects the port for now. */
export async function takePort(
  source: PublicPortSource,
  wish: PortWish,
  logger: Logger,
): Promise<PortLease | PortRejection> {
  try {
    return await source.take(wish)
  } catch (error) {
    const { endpoint, port } = wish
    logger.error({ err: error, endpoint: endpoint.name, port }, 'no public port for an endpoint')
    return {
      code: 'port-unavailable',
      message: 'this server cannot open a port now',
      retryAfterMs: RETRY_MS,
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
