import { type PortcheckError, PORTCHECK_ERRORS } from '@proj/portcheck'
import { EXIT, UserError } from '@proj/program-kit'

/** The error of a program whose address cannot be had. */
export function addressTaken(error: PortcheckError): UserError {
  return new UserError(error.message, {
    exitCode: EXIT.addressTaken,
    hint: PORTCHECK_ERRORS[error.code].hint,
    cause: error,
  })
}
