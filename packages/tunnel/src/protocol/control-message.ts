import type { AnswerStrictness } from './answer-strictness.ts'
import type { EndpointLimits, LimitName } from './endpoint-limits.ts'
import type { StreamReuse } from './stream-reuse.ts'

/**
 * Messages of the control stream: u16 length, then one JSON object in UTF-8 (docs/protocol.md,
 * "Control stream"). JSON, because these are few and want to grow: fields and message types that a
 * peer does not know are ignored.
 */
export type ControlMessage =
  | Hello
  | {
      readonly type: 'register'
      readonly id: number
      readonly endpoint: string
      /** `http` or `tcp`; a server refuses what a later version may add. */
      readonly kind: string
      /** Rules for visitors that the server is to enforce. */
      readonly visitors?: object
      /** Public TCP port of the server that visitors shall find it on; 0 for any. */
      readonly port?: number
      /** No other agent may serve it at the same time. */
      readonly exclusive?: true
      /** When its streams carry another request; absent: as the server is set. */
      readonly reuse?: StreamReuse
      /** How the answers of the service are read; absent: `lenient`. */
      readonly strictness?: AnswerStrictness
      /** How often the agent is chosen, compared to the others; absent: 100. */
      readonly weight?: number
      /** What its visitors may do; the server applies the stricter of this and its own. */
      readonly limits?: EndpointLimits
    }
  | {
      readonly type: 'registered'
      readonly id: number
      readonly urls: readonly string[]
      /** The rules for visitors are in force. A server that does not know them does not say so. */
      readonly visitors?: true
      /** The public port it has. A server that does not know of them does not say so. */
      readonly port?: number
      /** No other agent serves it or may. A server that does not know of that does not say so. */
      readonly exclusive?: true
      /** The limits that are in force. A server that does not know of them does not say so. */
      readonly limits?: readonly LimitName[]
      /** Agents that serve it too; absent for none. */
      readonly others?: number
      /** IP addresses they have, without the one of this agent. */
      readonly otherHosts?: number
    }
  /** Another agent began or ceased to serve an endpoint of the session. */
  | {
      readonly type: 'shared'
      readonly endpoint: string
      /** Agents that serve it too. */
      readonly others: number
      /** IP addresses they have, without the one of this agent. */
      readonly otherHosts: number
    }
  | Refused
  /** The server has rejected an answer of the service, for the log of the agent. */
  | ({ readonly type: 'malformed' } & RejectedAnswer)
  /** The health checks of an agent tell that its service is down, or up again. */
  | { readonly type: 'health'; readonly endpoint: string; readonly isUp: boolean }
  | { readonly type: 'release'; readonly id: number; readonly endpoint: string }
  | { readonly type: 'released'; readonly id: number }
  | {
      readonly type: 'drain'
      /** From a server: how long to wait before the next connection. */
      readonly retryAfterMs: number
      /**
       * From an agent that ends: when the server is to close what has no end of its own on HTTP streams, such as
       * WebSockets; absent: never.
       */
      readonly longLivedMs?: number
    }
  /** What the peer's right lived on has expired or was revoked: the session ends. */
  | { readonly type: 'ended'; readonly reason: string }
  | { readonly type: 'query'; readonly id: number; readonly endpoint: string }
  | {
      readonly type: 'endpoint'
      readonly id: number
      readonly endpoint: string
      /** Agent sessions that serve it. */
      readonly upstreams: number
      /** Agents; each may hold several sessions. */
      readonly agents?: number
      /** What became of the last stream to the service: `ok` or the name of a reset reason. */
      readonly outcome?: string
      /** How long ago that was. */
      readonly ageMs?: number
      /** False: it may not be asked for with this token. */
      readonly permitted?: boolean
    }

/** The other agents that serve an endpoint, as an agent is told of them. */
export interface OtherAgents {
  /** How many there are. */
  readonly agents: number
  /** How many IP addresses they have, without that of the agent itself: 0 when all are on one host. */
  readonly hosts: number
}

/** An answer of a service that does not follow HTTP/1.1, and cannot be read in one way alone. */
export interface RejectedAnswer {
  /** The endpoint of the service. */
  readonly endpoint: string
  /** Names the request in the logs of both programs. */
  readonly requestId: string
  /** What is wrong; stable. The visitor gets it in `adit-error`. */
  readonly code: string
  /** What is wrong and what would mend it, for people. */
  readonly message: string
}

/** First message of each side. */
export interface Hello {
  readonly type: 'hello'
  /** Program and version, for logs. */
  readonly software: string
  /** Names the peer across its parallel connections and reconnects: agent id or node id. */
  readonly peer: string
}

/** Why something is rejected, for the peer. */
export interface Rejection<Code extends string = RejectionCode> {
  /** Stable; for programs. */
  readonly code: Code
  /** One sentence for people. */
  readonly message: string
  /**
   * With `name-taken` and `name-in-use`: what holds the name, `reservation` or `session`. With `port-taken` also `hold`, for
   * agents that are away, and `program`.
   */
  readonly holder?: string
  /** With `name-taken`, `name-in-use` and `port-taken`: since when, ISO 8601, where that is known. */
  readonly since?: string
  /** Delay after which to ask again, ms; absent where that does not help. */
  readonly retryAfterMs?: number
}

/** Answer to a registration that was rejected; its code may be one of a later version. */
export interface Refused extends Rejection<string> {
  readonly type: 'refused'
  /** Echo of the request. */
  readonly id: number
}

/** Why a server of this version rejects the registration of an endpoint. */
export const REJECTION_CODES = [
  'endpoint-invalid',
  'kind-unknown',
  'not-permitted',
  'limit-reached',
  'visitors-invalid',
  'port-off',
  'port-kind',
  'port-not-allowed',
  'port-taken',
  'port-none-left',
  'port-limit',
  'port-differs',
  'port-unavailable',
  'name-taken',
  'name-in-use',
  'unavailable',
  'draining',
] as const

/** One of REJECTION_CODES. */
export type RejectionCode = (typeof REJECTION_CODES)[number]
