import { EXIT, UserError } from '@proj/program-kit'
import { isDialError } from '@proj/dialer'
import { isPortcheckError, PORTCHECK_ERRORS } from '@proj/portcheck'
import { isTunnelError, TUNNEL_ERRORS, type TunnelErrorCode } from '@proj/tunnel'

/** Failures that mean: the server refuses. */
const REFUSED: ReadonlySet<TunnelErrorCode> = new Set([
  'TUNNEL_ENDPOINT_REFUSED',
  'TUNNEL_EXCLUSIVE_UNSUPPORTED',
  'TUNNEL_NAME_IN_USE',
  'TUNNEL_NAME_TAKEN',
  'TUNNEL_PORT_REFUSED',
  'TUNNEL_PORT_UNSUPPORTED',
  'TUNNEL_RESERVATION_REFUSED',
  'TUNNEL_UNAUTHORIZED',
  'TUNNEL_UPGRADE_REFUSED',
  'TUNNEL_VISITORS_UNSUPPORTED',
])

/** Failures that mean: a setting is wrong. */
const USAGE: ReadonlySet<TunnelErrorCode> = new Set([
  'TUNNEL_ENDPOINT_INVALID',
  'TUNNEL_VISITORS_INVALID',
])

/** The setting that helps, whether the server got no token or one that it does not accept. */
const UNAUTHORIZED_HINT =
  'give a valid token of this server in connect.token_file (--connect.token-file)'

/**
 * Turns an error that ends the program into one with an exit code and a hint.
 *
 * @returns the error itself when it is none that a user can act on.
 */
export function explainError(error: unknown): unknown {
  if (isPortcheckError(error)) {
    const { hint } = PORTCHECK_ERRORS[error.code]
    return new UserError(error.message, { exitCode: EXIT.addressTaken, hint, cause: error })
  }
  if (isTunnelError(error)) {
    const { code, message } = error
    const exitCode = REFUSED.has(code) ? EXIT.refused : USAGE.has(code) ? EXIT.usage : EXIT.failed
    const hint = code === 'TUNNEL_UNAUTHORIZED' ? UNAUTHORIZED_HINT : TUNNEL_ERRORS[code].hint
    return new UserError(`${message} (${code})`, { exitCode, hint, cause: error })
  }
  if (isDialError(error)) {
    const { code, message, hint } = error
    // The server itself rejected the certificate: one that may be rejected by a proxy is tried again.
    const isRefused = code === 'DIAL_TLS_CLIENT_CERT' && error.retry === 'no'
    const exitCode = isRefused ? EXIT.refused : EXIT.failed
    return new UserError(message, { exitCode, hint, cause: error })
  }
  return error
}
