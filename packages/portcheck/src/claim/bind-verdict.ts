// The meaning of a failed bind. A code that is not about the port must not become "busy", because then
// there is no program that holds the port.
import type { PortcheckErrorCode } from '../errors.ts'
import type { BindVerdict } from '../report.ts'

const VERDICTS: ReadonlyMap<string, Exclude<BindVerdict, 'free'>> = new Map([
  ['EADDRINUSE', 'busy'],
  ['EACCES', 'denied'],
  ['EADDRNOTAVAIL', 'no-address'],
  ['EAFNOSUPPORT', 'no-family'],
  // A link-local address without a valid zone.
  ['EINVAL', 'bad-address'],
  ['ENOTFOUND', 'bad-address'],
  ['EAI_AGAIN', 'bad-address'],
])

const CODES: Readonly<Record<Exclude<BindVerdict, 'free'>, PortcheckErrorCode>> = {
  busy: 'PORTCHECK_PORT_BUSY',
  denied: 'PORTCHECK_PORT_DENIED',
  'no-address': 'PORTCHECK_ADDRESS_ABSENT',
  'no-family': 'PORTCHECK_FAMILY_ABSENT',
  'bad-address': 'PORTCHECK_ADDRESS_INVALID',
  unknown: 'PORTCHECK_BIND_FAILED',
}

/** Returns the code of a platform error; `UNKNOWN` without one. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'UNKNOWN'
}

/** Returns the verdict for a platform error code of a bind. */
export function verdictOf(errno: string): Exclude<BindVerdict, 'free'> {
  return VERDICTS.get(errno) ?? 'unknown'
}

/** Returns the error code for a verdict, for calls that need the port. */
export function errorCodeOf(verdict: Exclude<BindVerdict, 'free'>): PortcheckErrorCode {
  return CODES[verdict]
}
