import type { DialError } from './dial-error.ts'
import { DIAL_ERRORS, type DialErrorCode } from './errors.ts'

/**
 * Tells whether a value is a DialError, also one made by another copy of this package.
 * @param code - when given, the error must carry this code
 */
export function isDialError(error: unknown, code?: DialErrorCode): error is DialError {
  return (
    error instanceof Error &&
    error.name === 'DialError' &&
    'code' in error &&
    typeof error.code === 'string' &&
    Object.hasOwn(DIAL_ERRORS, error.code) &&
    (code === undefined || error.code === code)
  )
}
