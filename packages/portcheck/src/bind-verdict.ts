// What a failed bind means to a person. Codes that say nothing about the port must not end up as
// "busy": a program that believes that would go looking for a holder that does not exist.
import type { PortcheckErrorCode } from './errors.ts'
import type { BindVerdict } from './report.ts'

const VERDICTS: ReadonlyMap<string, Exclude<BindVerdict, 'free'>> = new Map([
  ['EADDRINUSE', 'busy'],
  ['EACCES', 'denied'],
  ['EADDRNOTAVAIL', 'no-address'],
  ['EAFNOSUPPORT', 'no-family'],
  // A link-local address without a zone the kernel knows.
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

/** Reads the code of a platform error; `UNKNOWN` when there is none. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'UNKNOWN'
}

/** Turns a platform error code of a bind into a verdict. */
export function verdictOf(errno: string): Exclude<BindVerdict, 'free'> {
  return VERDICTS.get(errno) ?? 'unknown'
}

/** The error code for a verdict, for calls that cannot go on without the port. */
export function errorCodeOf(verdict: Exclude<BindVerdict, 'free'>): PortcheckErrorCode {
  return CODES[verdict]
}
