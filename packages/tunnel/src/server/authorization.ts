import type { IncomingHttpHeaders } from 'node:http'

import { type HttpAnswer, jsonAnswer, retryAfterSeconds } from '../protocol/http-answer.ts'
import type { EndpointAction } from '../protocol/routes.ts'

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

/** What an authorised peer may do, asked again for every endpoint its session touches. */
export interface Grant {
  /**
   * Who it is, for logs and conflicts; no secret. Sessions of one identity share a name, another's are
   * refused it.
   */
  readonly identity: string
  /** Whose names it uses: a name in one tenant never meets the same name in another. '' is the usual one. */
  readonly tenant: string
  /**
   * Aborted with an Error when the right is over, because it expired or was revoked: what lives on it is
   * cut. Absent: it lasts as long as the session.
   */
  readonly ended?: AbortSignal
  /** Whether the peer may do this with this endpoint. */
  permits(action: EndpointAction, endpoint: string): boolean
}

/** The peer has no right to what it asks for. */
export interface Denial {
  /** HTTP status: 401 as Piko says it, or a retryable one (429, 503). */
  readonly status: number
  /** Text of the JSON error body, one of Piko's where one fits. */
  readonly error: string
  /** When asking again may help, ms; told in `retry-after`, in whole seconds. */
  readonly retryAfterMs?: number
}

/**
 * Judges a handshake. When it throws, the peer gets a bare 500.
 */
export type Authorize = (request: AuthorizationRequest) => Promise<Grant | Denial> | Grant | Denial

/** Tells a denial from a grant. */
export function isDenial(verdict: Grant | Denial): verdict is Denial {
  return 'status' in verdict
}

/** A denial as an answer, as Piko words it. */
export function denialAnswer(
  { status, error, retryAfterMs }: Denial,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  if (retryAfterMs === undefined) return jsonAnswer(status, error, headers)
  const retryAfter = { 'retry-after': retryAfterSeconds(retryAfterMs) }
  return jsonAnswer(status, error, { ...retryAfter, ...headers })
}

/** Lets everyone do everything: right on loopback, and the app's decision elsewhere. */
export function allowAll(): Grant {
  return { identity: 'anonymous', tenant: '', permits: () => true }
}
