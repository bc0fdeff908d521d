import type { REFUSAL_CODES, Refused } from '../protocol/control-message.ts'
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

/** Why a port is not to be had, as the agent is told: no other identity and no program is named. */
export type PortRefusal = Omit<Refused, 'type' | 'id' | 'code'> & {
  readonly code: Extract<(typeof REFUSAL_CODES)[number], `port-${string}`>
}

/** Gives out public ports. */
export interface PublicPortSource {
  /** Opens a port for an endpoint, or joins the endpoint's other sessions on theirs. */
  take(wish: PortWish): Promise<PortLease | PortRefusal>
}
