import { EXIT, UserError } from '@proj/program-kit'
import { isDialError } from '@proj/dialer'
import { isPortcheckError, PORTCHECK_ERRORS } from '@proj/portcheck'
import { isTunnelError, TUNNEL_ERRORS } from '@proj/tunnel'

/** Puts a failure that ends the program into words and an exit code. */
export function explained(error: unknown): unknown {
  if (isPortcheckError(error)) {
    const { hint } = PORTCHECK_ERRORS[error.code]
    return new UserError(error.message, { exitCode: EXIT.addressTaken, hint, cause: error })
  }
  if (isTunnelError(error)) {
    const refused = [
      'TUNNEL_ENDPOINT_REFUSED',
      'TUNNEL_NAME_TAKEN',
      'TUNNEL_PORT_REFUSED',
      'TUNNEL_PORT_UNSUPPORTED',
      'TUNNEL_RESERVATION_REFUSED',
      'TUNNEL_UNAUTHORIZED',
      'TUNNEL_UPGRADE_REFUSED',
      'TUNNEL_VISITORS_UNSUPPORTED',
    ]
    const exitCode = refused.includes(error.code)
      ? EXIT.refused
      : ['TUNNEL_ENDPOINT_INVALID', 'TUNNEL_VISITORS_INVALID'].includes(error.code)
        ? EXIT.usage
        : EXIT.failed
    const { hint } = TUNNEL_ERRORS[error.code]
    return new UserError(`${error.message} (${error.code})`, { exitCode, hint, cause: error })
  }
  if (isDialError(error)) {
    const { message, hint } = error
    return new UserError(message, { exitCode: EXIT.failed, hint, cause: error })
  }
  return error
}
