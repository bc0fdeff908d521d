import type { IncomingHttpHeaders } from 'node:http'

import type { EndpointAction, Grant } from './grant.ts'

/** The certificate a peer has shown on TLS, verified against the authorities of its listener. */
export interface ClientCertificate {
  /** Subject alternative names, each with its kind: `DNS:agent.example`, `URI:spiffe://…`, `email:…`. */
  readonly names: readonly string[]
  /** SHA-256 of the certificate, upper-case hex with colons. */
  readonly fingerprint256: string
}

/** A handshake to be judged. */
export interface AuthorizationRequest {
  /** Headers of the handshake, lower case. Hold credentials: never log them. */
  readonly headers: IncomingHttpHeaders
  /** What the route asks for. */
  readonly action: EndpointAction
  /**
   * Endpoint in the route; empty where there is none. For a session of our own protocol it only says
   * what the peer begins with (`adit-session` for consumers): each endpoint is asked of the grant.
   */
  readonly endpoint: string
  /** Peer's address. */
  readonly remoteAddress: string | undefined
  /** What the peer has shown on TLS; absent where no certificate is asked for. */
  readonly certificate?: ClientCertificate
}

/** Refusal of a handshake. */
export interface Denial {
  /** HTTP status: 401 as Piko says it, or a retryable one (429, 503). */
  readonly status: number
  /** Text of the JSON error body, one of Piko's where one fits. */
  readonly error: string
  /** When asking again may help, ms; told in `retry-after`, in whole seconds. */
  readonly retryAfterMs?: number
}

/**
 * Judges a handshake. A Denial refuses it; a throw or rejection becomes a bare 500.
 */
export type Authorize = (request: AuthorizationRequest) => Promise<Grant | Denial> | Grant | Denial

/** Tells a denial from a grant. */
export function isDenial(verdict: Grant | Denial): verdict is Denial {
  return 'status' in verdict
}
