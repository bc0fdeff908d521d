import type { IncomingHttpHeaders } from 'node:http'

/** What a peer wants to do with an endpoint. */
export type EndpointAction = 'listen' | 'connect'

/** A handshake to be judged. */
export interface AuthorizationRequest {
  /** Headers of the handshake, lower case. Hold credentials: never log them. */
  readonly headers: IncomingHttpHeaders
  /** What the route asks for. */
  readonly action: EndpointAction
  /** Endpoint in the route. */
  readonly endpoint: string
  /** Peer's address. */
  readonly remoteAddress: string | undefined
}

/** What an authorised peer may do, asked again for every endpoint its session touches. */
export interface Grant {
  /** Who it is, for logs and conflicts; no secret. */
  readonly identity: string
  /** Whether the peer may do this with this endpoint. */
  permits(action: EndpointAction, endpoint: string): boolean
}

/** Refusal of a handshake. */
export interface Denial {
  /** HTTP status: 401 as Piko says it, or a retryable one (429, 503). */
  readonly status: number
  /** Text of the JSON error body, one of Piko's where one fits. */
  readonly error: string
}

/**
 * Judges a handshake. A Denial refuses it; a throw or rejection becomes a bare 500.
 */
export type Authorize = (request: AuthorizationRequest) => Promise<Grant | Denial> | Grant | Denial

/** Lets everyone do everything: right on loopback, and the app's decision elsewhere. */
export function allowAll(): Grant {
  return { identity: 'anonymous', permits: () => true }
}

/** Tells a denial from a grant. */
export function isDenial(verdict: Grant | Denial): verdict is Denial {
  return 'status' in verdict
}
