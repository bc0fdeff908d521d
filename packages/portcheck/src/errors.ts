// The error class of the package. In `probe` and `explain` a busy port is a report and not an error; only
// calls that hold a port (`claim`, `listen`, `findFree`) reject when they cannot. The error of the platform
// is the `cause`, so `error.cause.code === 'EADDRINUSE'` works.
import { describeHolder } from './holders/holder.ts'
import type { Report } from './report.ts'

/** The codes of {@link PORTCHECK_ERRORS}. Never renamed in a minor version. */
export type PortcheckErrorCode =
  | 'PORTCHECK_PORT_BUSY'
  | 'PORTCHECK_PORT_DENIED'
  | 'PORTCHECK_ADDRESS_ABSENT'
  | 'PORTCHECK_FAMILY_ABSENT'
  | 'PORTCHECK_ADDRESS_INVALID'
  | 'PORTCHECK_ADDRESS_OVERLAP'
  | 'PORTCHECK_BIND_FAILED'
  | 'PORTCHECK_RANGE_EXHAUSTED'
  | 'PORTCHECK_CLAIM_CLOSED'

/** All codes of a {@link PortcheckError}: what happened, whether a retry can help, what to do. */
export const PORTCHECK_ERRORS: Readonly<
  Record<PortcheckErrorCode, { happened: string; retryable: boolean; hint: string }>
> = Object.freeze({
  PORTCHECK_PORT_BUSY: {
    happened: 'another socket uses this address and port',
    retryable: true,
    hint: 'stop the program that holds the port, wait for it, or choose another port',
  },
  PORTCHECK_PORT_DENIED: {
    happened: 'this user is not allowed to bind this port',
    retryable: false,
    hint: 'choose a port above 1023, or give the program the right to bind low ports',
  },
  PORTCHECK_ADDRESS_ABSENT: {
    happened: 'this machine does not have the address',
    retryable: false,
    hint: 'use an address of this machine, or listen on all addresses',
  },
  PORTCHECK_FAMILY_ABSENT: {
    happened: 'the kernel does not support this address family',
    retryable: false,
    hint: 'use an address of the other family, or no host',
  },
  PORTCHECK_ADDRESS_INVALID: {
    happened: 'the address cannot be parsed, resolved or bound',
    retryable: false,
    hint: 'write the address as host:port, with an IPv6 host in brackets',
  },
  PORTCHECK_ADDRESS_OVERLAP: {
    happened: 'two addresses of one configuration need the same socket',
    retryable: false,
    hint: 'remove one of the two, or give it another port',
  },
  PORTCHECK_BIND_FAILED: {
    happened: 'the bind failed for a reason that is not about the port',
    retryable: true,
    hint: 'see the cause: a limit of file descriptors or a sandbox can be the reason',
  },
  PORTCHECK_RANGE_EXHAUSTED: {
    happened: 'no port in the range is free',
    retryable: true,
    hint: 'use a larger range',
  },
  PORTCHECK_CLAIM_CLOSED: {
    happened: 'the claim is closed, or a server already uses it',
    retryable: false,
    hint: 'claim the port again',
  },
})

/** The fields of a {@link PortcheckError} besides code and message. */
export interface PortcheckErrorDetails {
  /** The platform's error code, such as `EADDRINUSE`. */
  readonly errno?: string | undefined
  /** The address that could not be bound. */
  readonly address?: string | undefined
  /** The port that could not be bound. */
  readonly port?: number | undefined
  /** The report of `explain` at the time of the failure. */
  readonly report?: Report | undefined
  /** The program that holds the address, described; without it the first holder of the report. */
  readonly holder?: string | undefined
  /** Error of the system call. */
  readonly cause?: unknown
}

/** The error of this package. Wrong arguments throw `TypeError`, `RangeError` or `ConfigError`. */
export class PortcheckError extends Error {
  override readonly name = 'PortcheckError'
  /** Stable code; see {@link PORTCHECK_ERRORS}. */
  readonly code: PortcheckErrorCode
  /** The platform's error code, such as `EADDRINUSE`, where there was one. */
  readonly errno: string | undefined
  /** The address that could not be bound, where there was one. */
  readonly address: string | undefined
  /** The port that could not be bound, where there was one. */
  readonly port: number | undefined
  /** Holders and warnings at the time of the failure, for `claim` and `listen`. */
  readonly report: Report | undefined
  /** The program that holds the address, such as `node (pid 4121)`, where it is known. */
  readonly holder: string | undefined

  constructor(code: PortcheckErrorCode, message: string, details: PortcheckErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause })
    this.code = code
    this.errno = details.errno
    this.address = details.address
    this.port = details.port
    this.report = details.report
    const [first] = details.report?.holders ?? []
    this.holder = details.holder ?? (first === undefined ? undefined : describeHolder(first))
  }

  /** Whether the same call can succeed later. */
  get retryable(): boolean {
    return PORTCHECK_ERRORS[this.code].retryable
  }
}

/**
 * Tells whether `error` is a {@link PortcheckError}, also one made by another copy of this package.
 * @param code - when given, the error must have this code
 */
export function isPortcheckError(
  error: unknown,
  code?: PortcheckErrorCode,
): error is PortcheckError {
  if (!(error instanceof Error) || error.name !== 'PortcheckError') return false
  const found = 'code' in error ? error.code : undefined
  return code === undefined
    ? typeof found === 'string' && Object.hasOwn(PORTCHECK_ERRORS, found)
    : found === code
}
