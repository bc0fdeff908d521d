/** What can go wrong in the tunnel protocol, one code each. */
export type TunnelErrorCode =
  | 'TUNNEL_CLOSED'
  | 'TUNNEL_CONTROL_INVALID'
  | 'TUNNEL_ENDPOINT_INVALID'
  | 'TUNNEL_ENDPOINT_REFUSED'
  | 'TUNNEL_HELLO_TIMEOUT'
  | 'TUNNEL_NO_UPSTREAM'
  | 'TUNNEL_RECORD_INVALID'
  | 'TUNNEL_SERVICE_REFUSED'
  | 'TUNNEL_SERVICE_UNREACHABLE'
  | 'TUNNEL_STREAM_RESET'
  | 'TUNNEL_UNAUTHORIZED'
  | 'TUNNEL_UPGRADE_REFUSED'
  | 'TUNNEL_UPSTREAM_LOST'

/** Fields an error may carry besides its code. */
export interface TunnelErrorOptions {
  /** What led to it. */
  readonly cause?: unknown
  /** HTTP status of the refusal, where there was one. */
  readonly status?: number
  /** The peer's advice: not before this many ms. */
  readonly retryAfterMs?: number
}

/**
 * Every code with what happened and whether trying again can help. The README's table is this
 * table; a test compares the two.
 */
export const TUNNEL_ERRORS: Readonly<
  Record<TunnelErrorCode, { readonly what: string; readonly retryable: boolean }>
> = Object.freeze({
  TUNNEL_CLOSED: { what: 'the agent, listener or session was closed here', retryable: false },
  TUNNEL_CONTROL_INVALID: {
    what: 'the peer sent something on the control stream that the protocol does not allow',
    retryable: true,
  },
  TUNNEL_ENDPOINT_INVALID: { what: 'the endpoint name cannot be used', retryable: false },
  TUNNEL_ENDPOINT_REFUSED: {
    what: 'the server refused to register the endpoint on this session',
    retryable: false,
  },
  TUNNEL_HELLO_TIMEOUT: {
    what: 'the peer negotiated our protocol but did not greet in time',
    retryable: true,
  },
  TUNNEL_NO_UPSTREAM: { what: 'no agent serves the endpoint now', retryable: true },
  TUNNEL_RECORD_INVALID: { what: 'a stream began with a malformed record', retryable: false },
  TUNNEL_SERVICE_REFUSED: { what: 'the service refused the connection', retryable: true },
  TUNNEL_SERVICE_UNREACHABLE: {
    what: 'the service could not be reached: name, network or time',
    retryable: true,
  },
  TUNNEL_STREAM_RESET: { what: 'the stream was reset by the far side', retryable: true },
  TUNNEL_UNAUTHORIZED: { what: 'the server refused the credentials', retryable: false },
  TUNNEL_UPGRADE_REFUSED: { what: 'the server refused the connection', retryable: false },
  TUNNEL_UPSTREAM_LOST: { what: 'the session that carried the stream ended', retryable: true },
})

/** The one error class of this package. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError'
  /** Stable, documented in the README. */
  readonly code: TunnelErrorCode
  /** Whether the same call may succeed later without a change on this side. */
  readonly retryable: boolean
  /** HTTP status of the refusal, where there was one. */
  readonly status: number | undefined
  /** The peer's advice: not before this many ms. */
  readonly retryAfterMs: number | undefined

  constructor(code: TunnelErrorCode, message: string, options: TunnelErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = TUNNEL_ERRORS[code].retryable
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Tells a TunnelError, optionally of one code, also when it comes from another copy of the package. */
export function isTunnelError(error: unknown, code?: TunnelErrorCode): error is TunnelError {
  if (!(error instanceof Error) || error.name !== 'TunnelError' || !('code' in error)) return false
  return code === undefined ? Object.hasOwn(TUNNEL_ERRORS, String(error.code)) : error.code === code
}
