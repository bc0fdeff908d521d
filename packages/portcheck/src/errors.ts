// One error class for the package. A busy port is a report in `probe` and `explain`; only calls
// that promise to hold a port (`claim`, `listen`, `findFree`) reject when they cannot. The platform's
// own error is kept as `cause`, so `error.cause.code === 'EADDRINUSE'` still works.
import { describeHolder } from './holder.ts'
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

/** Every code a {@link PortcheckError} can carry: what happened, whether retrying helps, what to do. */
export const PORTCHECK_ERRORS: Readonly<
  Record<PortcheckErrorCode, { happened: string; retryable: boolean; hint: string }>
> = Object.freeze({
  PORTCHECK_PORT_BUSY: {
    happened: 'another socket holds an overlapping address and port',
    retryable: true,
    hint: 'stop the holder, wait for it, or choose another port',
  },
  PORTCHECK_PORT_DENIED: {
    happened: 'the system does not let this user bind this port',
    retryable: false,
    hint: 'choose a port above 1023, or grant the right to bind low ports',
  },
  PORTCHECK_ADDRESS_ABSENT: {
    happened: 'the address is not configured on this machine',
    retryable: false,
    hint: 'use an address of this machine, or listen on all addresses',
  },
  PORTCHECK_FAMILY_ABSENT: {
    happened: 'the kernel has no such address family',
    retryable: false,
    hint: 'use an address of the other family, or leave the host out',
  },
  PORTCHECK_ADDRESS_INVALID: {
    happened: 'the address cannot be parsed, resolved or bound',
    retryable: false,
    hint: 'write it as host:port, an IPv6 host in brackets',
  },
  PORTCHECK_ADDRESS_OVERLAP: {
    happened: 'two addresses of one configuration need the same socket',
    retryable: false,
    hint: 'remove one of the two, or give it another port',
  },
  PORTCHECK_BIND_FAILED: {
    happened: 'the bind failed for a reason that says nothing about the port',
    retryable: true,
    hint: 'look at the cause: descriptor limits and sandboxes end here',
  },
  PORTCHECK_RANGE_EXHAUSTED: {
    happened: 'no port of the range is free',
    retryable: true,
    hint: 'use a larger range',
  },
  PORTCHECK_CLAIM_CLOSED: {
    happened: 'the claim was closed or already handed over',
    retryable: false,
    hint: 'claim the port again',
  },
})

/** What a {@link PortcheckError} knows beside its message. */
export interface PortcheckErrorDetails {
  /** The platform's error code, such as `EADDRINUSE`. */
  readonly errno?: string | undefined
  /** The address that could not be bound. */
  readonly address?: string | undefined
  /** The port that could not be bound. */
  readonly port?: number | undefined
  /** What `explain` found out about the port at the time of the failure. */
  readonly report?: Report | undefined
  /** Who listens on the unix socket, in words. */
  readonly holder?: string | undefined
  /** The platform's error. */
  readonly cause?: unknown
}

/** The only error this package throws, save `TypeError` and `RangeError` for wrong arguments. */
export class PortcheckError extends Error {
  override readonly name = 'PortcheckError'
  /** Stable; see {@link PORTCHECK_ERRORS}. */
  readonly code: PortcheckErrorCode
  /** The platform's error code, such as `EADDRINUSE`, where there was one. */
  readonly errno: string | undefined
  /** The address that could not be bound, where there was one. */
  readonly address: string | undefined
  /** The port that could not be bound, where there was one. */
  readonly port: number | undefined
  /** Holders and warnings at the time of the failure, for `claim` and `listen`. */
  readonly report: Report | undefined
  /** Who holds the address, in words, where that is known: `cups (pid 123, ...)`. */
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

  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return PORTCHECK_ERRORS[this.code].retryable
  }
}

/**
 * Tells whether `error` is a {@link PortcheckError}, with `code` if given. Compares name and code,
 * so it also works across two copies of this package.
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
