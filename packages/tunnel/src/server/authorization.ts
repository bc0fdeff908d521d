import type { IncomingHttpHeaders } from 'node:http'

import { type HttpAnswer, jsonAnswer, retryAfterSeconds } from '../protocol/http-answer.ts'
import type { EndpointAction } from '../protocol/routes.ts'

/** The TLS certificate of a peer, verified against the authorities of its port. */
export interface ClientCertificate {
  /** Subject alternative names, each with its kind: `DNS:agent.example`, `URI:spiffe://…`, `email:…`. */
  readonly names: readonly string[]
  /** Common name of the subject; undefined when there is none, or several. */
  readonly commonName?: string
  /** SHA-256 of the certificate, upper-case hex with colons. */
  readonly fingerprint256: string
  /** When it expires, ms since the epoch; undefined when that is not known. */
  readonly notAfter?: number
}

/** A handshake to authorise. */
export interface AuthorizationRequest {
  /** Headers of the handshake, lower case. Hold credentials: never log them. */
  readonly headers: IncomingHttpHeaders
  /** What the route asks for. */
  readonly action: EndpointAction
  /**
   * Endpoint in the route; empty where there is none. On our own protocol it is only the first one
   * (`adit-session` for consumers): the grant is asked for each endpoint.
   */
  readonly endpoint: string
  /** IP address of the peer; undefined when its connection is gone. */
  readonly remoteAddress: string | undefined
  /** The peer's TLS certificate; absent where none is asked for. */
  readonly certificate?: ClientCertificate
}

/** What an authorised peer may do; asked for every endpoint its session uses. */
export interface Grant {
  /**
   * Names the peer in logs and conflicts; not a secret. Sessions of one identity share a name, other
   * identities cannot register it.
   */
  readonly identity: string
  /** Tenant whose names it uses; '' for none. The same name in two tenants is two endpoints. */
  readonly tenant: string
  /**
   * Aborted with an Error when the right expires or is revoked: the session and its streams are then
   * ended. Absent: the right lasts as long as the session.
   */
  readonly ended?: AbortSignal
  /** Whether the peer may do this with this endpoint. */
  permits(action: EndpointAction, endpoint: string): boolean
  /** What the credentials allow instead, one clause for the peer. Absent: it is not told. */
  describe?(action: EndpointAction): string
}

/** The peer has no right to what it asks for. */
export interface Denial {
  /** HTTP status: 401 as from Piko, or a retryable one (429, 503). */
  readonly status: number
  /** Text of the JSON error body, one of Piko's where one fits. */
  readonly error: string
  /** Stable code for programs, beside the text. */
  readonly code?: string
  /** What the peer can do, beside the text. */
  readonly hint?: string
  /** Delay after which to try again, ms; sent as `retry-after`, in whole seconds. */
  readonly retryAfterMs?: number
}

/**
 * Judges a handshake. When it throws, the peer gets a bare 500.
 */
export type Authorize = (request: AuthorizationRequest) => Promise<Grant | Denial> | Grant | Denial

/** Whether a verdict is a denial. */
export function isDenial(verdict: Grant | Denial): verdict is Denial {
  return 'status' in verdict
}

/** A denial as an answer, as Piko words it. */
export function denialAnswer(
  { status, error, retryAfterMs, ...details }: Denial,
  headers: Readonly<Record<string, string>> = {},
): HttpAnswer {
  if (retryAfterMs === undefined) return jsonAnswer(status, error, headers, details)
  const retryAfter = { 'retry-after': retryAfterSeconds(retryAfterMs) }
  return jsonAnswer(status, error, { ...retryAfter, ...headers }, details)
}

/** Permits everything: fit for loopback; elsewhere the app has to decide it. */
export function allowAll(): Grant {
  return { identity: 'anonymous', tenant: '', permits: () => true }
}
