/** What can go wrong in the tunnel protocol, one code each. */
export type TunnelErrorCode =
  | 'TUNNEL_CLOSED'
  | 'TUNNEL_CONTROL_INVALID'
  | 'TUNNEL_ENDPOINT_INVALID'
  | 'TUNNEL_ENDPOINT_REFUSED'
  | 'TUNNEL_EXCLUSIVE_UNSUPPORTED'
  | 'TUNNEL_HELLO_TIMEOUT'
  | 'TUNNEL_NAME_IN_USE'
  | 'TUNNEL_NAME_TAKEN'
  | 'TUNNEL_NETWORK_CHANGED'
  | 'TUNNEL_NO_UPSTREAM'
  | 'TUNNEL_PORT_REFUSED'
  | 'TUNNEL_PORT_UNSUPPORTED'
  | 'TUNNEL_RECORD_INVALID'
  | 'TUNNEL_RESERVATION_REFUSED'
  | 'TUNNEL_SERVERS_FAILED'
  | 'TUNNEL_SERVICE_REFUSED'
  | 'TUNNEL_SERVICE_UNREACHABLE'
  | 'TUNNEL_STREAM_RESET'
  | 'TUNNEL_UNAUTHORIZED'
  | 'TUNNEL_UPGRADE_REFUSED'
  | 'TUNNEL_UPSTREAM_LOST'
  | 'TUNNEL_VISITORS_INVALID'
  | 'TUNNEL_VISITORS_UNSUPPORTED'
  | 'TUNNEL_WRONG_PORT'

/** Fields an error may carry besides its code. */
export interface TunnelErrorOptions {
  /** What led to it. */
  readonly cause?: unknown
  /** HTTP status of the answer, where there was one. */
  readonly status?: number
  /** Delay the peer asks for before the next attempt, ms. */
  readonly retryAfterMs?: number
  /** With TUNNEL_UNAUTHORIZED: whether only this endpoint is denied. Default false. */
  readonly isOfEndpoint?: boolean
  /** With TUNNEL_NAME_TAKEN, TUNNEL_NAME_IN_USE and TUNNEL_PORT_REFUSED: what holds it, `reservation`, `session`, `hold`, `program`. */
  readonly holder?: string | undefined
  /** With TUNNEL_NAME_TAKEN, TUNNEL_NAME_IN_USE and TUNNEL_PORT_REFUSED: since when, ISO 8601, where that is known. */
  readonly since?: string | undefined
}

/** What a code means. */
export interface TunnelErrorInfo {
  readonly what: string
  /** Whether the same call may succeed later without a change on this side. */
  readonly retryable: boolean
  /** What a person can do about it. */
  readonly hint: string
}

/**
 * Table: every code with its meaning and what to do; the README prints it, a test compares them.
 */
export const TUNNEL_ERRORS: Readonly<Record<TunnelErrorCode, TunnelErrorInfo>> = Object.freeze({
  TUNNEL_CLOSED: {
    what: 'the agent, consumer or listener was closed here',
    retryable: false,
    hint: 'make a new one',
  },
  TUNNEL_CONTROL_INVALID: {
    what: 'the peer sent something on the control stream that the protocol does not allow',
    retryable: true,
    hint: 'report it with the versions of both sides; a new session is made',
  },
  TUNNEL_ENDPOINT_INVALID: {
    what: 'the endpoint name cannot be used, or is served by this agent already',
    retryable: false,
    hint: 'use 1 to 253 bytes without slashes, spaces and control characters',
  },
  TUNNEL_ENDPOINT_REFUSED: {
    what: 'the server refused to register the endpoint',
    retryable: false,
    hint: 'read the reason in the message; other endpoints of the agent are still served',
  },
  TUNNEL_EXCLUSIVE_UNSUPPORTED: {
    what: 'the server cannot keep other agents off an exclusive endpoint, and it is not served without that',
    retryable: false,
    hint: 'update the server, or do without exclusive',
  },
  TUNNEL_HELLO_TIMEOUT: {
    what: 'the peer agreed to our protocol but did not send its hello in time',
    retryable: true,
    hint: 'check the load of the peer, and proxies on the way',
  },
  TUNNEL_NAME_IN_USE: {
    what: 'another agent serves the endpoint, and this one or the other is exclusive',
    retryable: true,
    hint: 'stop the other agent or choose another name; agents share a name when none of them is exclusive',
  },
  TUNNEL_NAME_TAKEN: {
    what: 'the endpoint is reserved for another identity, or served by another one now',
    retryable: false,
    hint: 'choose another name, or use a token of the identity that has this one',
  },
  TUNNEL_NETWORK_CHANGED: {
    what: 'the addresses of this machine changed, and the connection is replaced',
    retryable: true,
    hint: 'nothing to do: a new connection is made at once, and the streams of the old one go on if they can',
  },
  TUNNEL_NO_UPSTREAM: {
    what: 'no agent serves the endpoint now',
    retryable: true,
    hint: 'check the name and that its agent is connected',
  },
  TUNNEL_PORT_REFUSED: {
    what: 'the server did not give the endpoint the public port it asks for',
    retryable: false,
    hint: 'the message has the reason: ask for another public port, or for none',
  },
  TUNNEL_PORT_UNSUPPORTED: {
    what: 'the server has no public ports, and the endpoint is not served without one',
    retryable: false,
    hint: 'update the server, or do without a public port',
  },
  TUNNEL_RECORD_INVALID: {
    what: 'a stream began with a malformed record',
    retryable: false,
    hint: 'report it with the versions of both sides',
  },
  TUNNEL_RESERVATION_REFUSED: {
    what: 'the server rejected the request for a name or a domain',
    retryable: false,
    hint: 'read the reason in the message; the URL must be that of the upstream port of an Adit server',
  },
  TUNNEL_SERVERS_FAILED: {
    what: 'none of several servers could be used',
    retryable: true,
    hint: 'read the reason of each server in the message; all of them are tried again',
  },
  TUNNEL_SERVICE_REFUSED: {
    what: 'the service refused the connection',
    retryable: true,
    hint: 'start the service, or correct its address at the agent',
  },
  TUNNEL_SERVICE_UNREACHABLE: {
    what: 'the service could not be reached: name, network or time',
    retryable: true,
    hint: 'check the address of the service from where the agent runs',
  },
  TUNNEL_STREAM_RESET: {
    what: 'the stream was reset by the far side',
    retryable: true,
    hint: 'the message has the reason, if the far side sent one',
  },
  TUNNEL_UNAUTHORIZED: {
    what: 'the server refused the credentials, for all or for this endpoint',
    retryable: false,
    hint: 'get another token',
  },
  TUNNEL_UPGRADE_REFUSED: {
    what: 'something at this URL answered with an HTTP error that is not from an Adit or Piko server',
    retryable: true,
    hint: 'give the URL of the port for agents of a server, 8001 by default, or check the proxy in front of it; `status` is the HTTP status',
  },
  TUNNEL_UPSTREAM_LOST: {
    what: 'the session that carried the stream ended',
    retryable: true,
    hint: 'connect again',
  },
  TUNNEL_VISITORS_INVALID: {
    what: 'the rules for visitors of an endpoint are too long to be sent',
    retryable: false,
    hint: 'use larger blocks, fewer users, or have the agent enforce them',
  },
  TUNNEL_VISITORS_UNSUPPORTED: {
    what: 'the server does not enforce rules for visitors, and the endpoint is not served without',
    retryable: false,
    hint: 'update the server, or have the agent enforce them',
  },
  TUNNEL_WRONG_PORT: {
    what: 'the URL is that of another port of the server, for visitors or for operators',
    retryable: false,
    hint: 'give the URL of its port for agents: 8001, unless the server is configured otherwise',
  },
})

/** The one error class of this package. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError'
  /** Stable, documented in the README. */
  readonly code: TunnelErrorCode
  /** Whether the same call may succeed later without a change on this side. */
  readonly retryable: boolean
  /** HTTP status of the answer, where there was one. */
  readonly status: number | undefined
  /** Delay the peer asks for before the next attempt, ms. */
  readonly retryAfterMs: number | undefined
  /** With TUNNEL_UNAUTHORIZED: whether only this endpoint is denied, and others may be permitted. */
  readonly isOfEndpoint: boolean
  /** With TUNNEL_NAME_TAKEN and TUNNEL_PORT_REFUSED: what holds it, `reservation`, `session`, `hold`, `program`. */
  readonly holder: string | undefined
  /** With TUNNEL_NAME_TAKEN and TUNNEL_PORT_REFUSED: since when, ISO 8601, where that is known. */
  readonly since: string | undefined

  constructor(code: TunnelErrorCode, message: string, options: TunnelErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = TUNNEL_ERRORS[code].retryable
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
    this.isOfEndpoint = options.isOfEndpoint ?? false
    this.holder = options.holder
    this.since = options.since
  }
}

/** Whether this is a TunnelError, optionally of one code; also from another copy of the package. */
export function isTunnelError(error: unknown, code?: TunnelErrorCode): error is TunnelError {
  if (!(error instanceof Error) || error.name !== 'TunnelError' || !('code' in error)) return false
  return code === undefined ? Object.hasOwn(TUNNEL_ERRORS, String(error.code)) : error.code === code
}
