// The table of all errors of a dial, and the error class. One row per code: what happened, whether a
// retry can help, and the kind of failure, which decides the exit code of a command line. A test
// compares the table with the README.

/**
 * Whether the same dial can succeed later: `yes`: soon; `slow`: only after a change outside of the
 * process (an interface comes up, a certificate is replaced); `no`: only after a change of the options.
 */
export type RetryClass = 'yes' | 'slow' | 'no'

/** Kind of a failure: where a person should look first. */
export type FailureKind = 'config' | 'network' | 'proxy' | 'tls' | 'server'

/** One row of the error table. */
export interface DialErrorInfo {
  /** What happened, one clause. */
  readonly meaning: string
  /** Whether the same dial can succeed later. */
  readonly retry: RetryClass
  /** Where to look first. */
  readonly kind: FailureKind
}

/** What went wrong; see the table DIAL_ERRORS. */
export type DialErrorCode =
  | 'DIAL_BIND_INTERFACE_UNKNOWN'
  | 'DIAL_BIND_INTERFACE_DOWN'
  | 'DIAL_BIND_NOT_LOCAL'
  | 'DIAL_BIND_FAMILY'
  | 'DIAL_BIND_LOOPBACK'
  | 'DIAL_BIND_PORT_BUSY'
  | 'DIAL_BIND_DENIED'
  | 'DIAL_BIND_ZONE'
  | 'DIAL_BIND_DEVICE'
  | 'DIAL_DNS_NOT_FOUND'
  | 'DIAL_DNS_FAILED'
  | 'DIAL_DNS_TIMEOUT'
  | 'DIAL_CONNECT_REFUSED'
  | 'DIAL_CONNECT_UNREACHABLE'
  | 'DIAL_CONNECT_TIMEOUT'
  | 'DIAL_CONNECT_RESET'
  | 'DIAL_CONNECT_FAILED'
  | 'DIAL_PROXY_INVALID'
  | 'DIAL_PROXY_AUTH_REQUIRED'
  | 'DIAL_PROXY_AUTH_FAILED'
  | 'DIAL_PROXY_AUTH_UNSUPPORTED'
  | 'DIAL_PROXY_DENIED'
  | 'DIAL_PROXY_TARGET_FAILED'
  | 'DIAL_PROXY_ADDRESS_TYPE'
  | 'DIAL_PROXY_CAPTIVE'
  | 'DIAL_PROXY_PROTOCOL'
  | 'DIAL_PROXY_TIMEOUT'
  | 'DIAL_TLS_UNTRUSTED'
  | 'DIAL_TLS_INTERCEPTED'
  | 'DIAL_TLS_EXPIRED'
  | 'DIAL_TLS_NAME'
  | 'DIAL_TLS_PIN'
  | 'DIAL_TLS_CLIENT_CERT'
  | 'DIAL_TLS_PROTOCOL'
  | 'DIAL_TLS_TIMEOUT'
  | 'DIAL_TLS_FAILED'
  | 'DIAL_UPGRADE_REFUSED'
  | 'DIAL_UPGRADE_INVALID'
  | 'DIAL_UPGRADE_CLOSED'
  | 'DIAL_UPGRADE_TIMEOUT'
  | 'DIAL_DEADLINE'

/** All codes of a DialError. */
export const DIAL_ERRORS: Readonly<Record<DialErrorCode, DialErrorInfo>> = {
  DIAL_BIND_INTERFACE_UNKNOWN: {
    retry: 'slow',
    kind: 'config',
    meaning: 'there is no interface with this name',
  },
  DIAL_BIND_INTERFACE_DOWN: {
    retry: 'slow',
    kind: 'network',
    meaning: 'the interface is down or has no address',
  },
  DIAL_BIND_NOT_LOCAL: {
    retry: 'slow',
    kind: 'config',
    meaning: 'this host does not have the source address',
  },
  DIAL_BIND_FAMILY: {
    retry: 'slow',
    kind: 'config',
    meaning: 'source and target have no common address family',
  },
  DIAL_BIND_LOOPBACK: {
    retry: 'no',
    kind: 'config',
    meaning: 'a loopback source cannot reach a remote target',
  },
  DIAL_BIND_PORT_BUSY: { retry: 'yes', kind: 'config', meaning: 'the source port is in use' },
  DIAL_BIND_DENIED: {
    retry: 'no',
    kind: 'config',
    meaning: 'the system does not allow this source address or port',
  },
  DIAL_BIND_ZONE: {
    retry: 'slow',
    kind: 'config',
    meaning: 'a link-local source address needs the name of an interface as its zone',
  },
  DIAL_BIND_DEVICE: {
    retry: 'no',
    kind: 'config',
    meaning: 'the socket cannot be bound to a device on this system',
  },
  DIAL_DNS_NOT_FOUND: { retry: 'slow', kind: 'network', meaning: 'the name does not exist' },
  DIAL_DNS_FAILED: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the name lookup failed',
  },
  DIAL_DNS_TIMEOUT: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the resolver did not respond in time',
  },
  DIAL_CONNECT_REFUSED: {
    retry: 'yes',
    kind: 'network',
    meaning: 'nothing listens on this address, or a firewall rejects the connection',
  },
  DIAL_CONNECT_UNREACHABLE: {
    retry: 'yes',
    kind: 'network',
    meaning: 'there is no route to the address',
  },
  DIAL_CONNECT_TIMEOUT: {
    retry: 'yes',
    kind: 'network',
    meaning: 'no response to the connection request',
  },
  DIAL_CONNECT_RESET: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the peer closed the connection at once',
  },
  DIAL_CONNECT_FAILED: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the connection failed for another reason',
  },
  DIAL_PROXY_INVALID: { retry: 'no', kind: 'config', meaning: 'the proxy address is not valid' },
  DIAL_PROXY_AUTH_REQUIRED: {
    retry: 'no',
    kind: 'proxy',
    meaning: 'the proxy requires credentials',
  },
  DIAL_PROXY_AUTH_FAILED: {
    retry: 'no',
    kind: 'proxy',
    meaning: 'the proxy rejected the credentials',
  },
  DIAL_PROXY_AUTH_UNSUPPORTED: {
    retry: 'no',
    kind: 'proxy',
    meaning: 'the proxy offers no supported authentication scheme',
  },
  DIAL_PROXY_DENIED: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'the rules of the proxy deny the target',
  },
  DIAL_PROXY_TARGET_FAILED: {
    retry: 'yes',
    kind: 'proxy',
    meaning: 'the proxy could not reach the target',
  },
  DIAL_PROXY_ADDRESS_TYPE: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'the proxy does not support this type of address',
  },
  DIAL_PROXY_CAPTIVE: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'the network sent its login page instead of the response of the proxy',
  },
  DIAL_PROXY_PROTOCOL: {
    retry: 'slow',
    kind: 'proxy',
    meaning: 'the peer does not use the proxy protocol',
  },
  DIAL_PROXY_TIMEOUT: { retry: 'yes', kind: 'proxy', meaning: 'the proxy did not respond in time' },
  DIAL_TLS_UNTRUSTED: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'the issuer of the certificate is not trusted',
  },
  DIAL_TLS_INTERCEPTED: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'a device in the network replaces the certificate',
  },
  DIAL_TLS_EXPIRED: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'the certificate has expired or is not valid yet',
  },
  DIAL_TLS_NAME: { retry: 'slow', kind: 'tls', meaning: 'the certificate is for another name' },
  DIAL_TLS_PIN: { retry: 'slow', kind: 'tls', meaning: 'the public key is not a pinned one' },
  DIAL_TLS_CLIENT_CERT: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'the peer requires a client certificate, or another one',
  },
  DIAL_TLS_PROTOCOL: {
    retry: 'slow',
    kind: 'tls',
    meaning: 'the peer does not use TLS, or has no common TLS version or protocol',
  },
  DIAL_TLS_TIMEOUT: {
    retry: 'yes',
    kind: 'tls',
    meaning: 'the TLS handshake did not finish in time',
  },
  DIAL_TLS_FAILED: { retry: 'yes', kind: 'tls', meaning: 'the TLS handshake failed' },
  DIAL_UPGRADE_REFUSED: {
    retry: 'slow',
    kind: 'server',
    meaning: 'the server rejected the upgrade with an HTTP status',
  },
  DIAL_UPGRADE_INVALID: {
    retry: 'yes',
    kind: 'server',
    meaning: 'the response to the upgrade is not valid',
  },
  DIAL_UPGRADE_CLOSED: {
    retry: 'yes',
    kind: 'server',
    meaning: 'the connection closed before the response to the upgrade',
  },
  DIAL_UPGRADE_TIMEOUT: {
    retry: 'yes',
    kind: 'server',
    meaning: 'no response to the upgrade in time',
  },
  DIAL_DEADLINE: {
    retry: 'yes',
    kind: 'network',
    meaning: 'the whole dial took too long',
  },
}

/** A step of a dial. */
export type DialPhase = 'bind' | 'dns' | 'connect' | 'proxy' | 'tls' | 'upgrade'

/** The other end of a step: this host, the proxy, or the target, which is a server or a service. */
export type DialLeg = 'local' | 'proxy' | 'server' | 'service'

/** One address that was tried while connecting. */
export interface DialAttempt {
  /** Address and port tried, or the path of a unix socket. */
  readonly address: string
  /** Source address the socket was bound to; absent when the system chose. */
  readonly source?: string
  /** The result, a clause such as "refused the connection". */
  readonly outcome: string
  /** Time from the start of this attempt to its end, ms. */
  readonly elapsedMs: number
}

/** The fields of a DialError besides code and message. */
export interface DialErrorDetails {
  /** Step of the dial that failed, such as `dns` or `tls`. */
  readonly phase: DialPhase
  /** The other end of the step. */
  readonly leg: DialLeg
  /** What a person can do about it, one sentence. */
  readonly hint?: string | undefined
  /** Every address that was tried, with its result. */
  readonly attempts?: readonly DialAttempt[] | undefined
  /** HTTP status of a rejection, by the server or by the proxy. */
  readonly status?: number | undefined
  /** Headers of a rejected upgrade, at most 64 with at most 1024 characters each. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** First 1024 bytes of the body of a rejected upgrade. */
  readonly bodyText?: string | undefined
  /** Shortest delay that the server asked for, ms. */
  readonly retryAfterMs?: number | undefined
  /** Retry class instead of that of the code. */
  readonly retry?: RetryClass | undefined
  /** The error of the platform. Never an error that contains options or credentials. */
  readonly cause?: unknown
}

/**
 * The error of a failed dial. Contains no options, no tokens and no URLs with credentials: its text,
 * its JSON and its inspection can be logged. An abort is not a DialError: the dial rejects with the
 * reason of the signal. A wrong argument throws TypeError or RangeError at once.
 */
export class DialError extends Error {
  override readonly name = 'DialError'
  /** What happened; see the table DIAL_ERRORS. */
  readonly code: DialErrorCode
  /** Step of the dial that failed, such as `dns` or `tls`. */
  readonly phase: DialPhase
  /** The other end of the step. */
  readonly leg: DialLeg
  /** Whether the same dial can succeed later, and how soon. */
  readonly retry: RetryClass
  /** Where a person should look first. */
  readonly kind: FailureKind
  /** What a person can do about it. */
  declare readonly hint?: string
  /** Every address tried, in order of their start. */
  declare readonly attempts?: readonly DialAttempt[]
  /** HTTP status of a rejection. */
  declare readonly status?: number
  /** Headers of a rejected upgrade. */
  declare readonly headers?: Readonly<Record<string, string>>
  /** Start of the body of a rejected upgrade. */
  declare readonly bodyText?: string
  /** Shortest delay that the server asked for, ms. */
  declare readonly retryAfterMs?: number

  constructor(code: DialErrorCode, message: string, details: DialErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.phase = details.phase
    this.leg = details.leg
    this.retry = details.retry ?? DIAL_ERRORS[code].retry
    this.kind = DIAL_ERRORS[code].kind
    if (details.hint !== undefined) this.hint = details.hint
    if (details.attempts !== undefined) this.attempts = details.attempts
    if (details.status !== undefined) this.status = details.status
    if (details.headers !== undefined) this.headers = details.headers
    if (details.bodyText !== undefined) this.bodyText = details.bodyText
    if (details.retryAfterMs !== undefined) this.retryAfterMs = details.retryAfterMs
  }

  /** Whether the same dial can succeed later with the same options. */
  get retryable(): boolean {
    return this.retry !== 'no'
  }

  /** Returns all fields that are set, and the message, for JSON output. */
  toJSON(): Record<string, unknown> {
    return {
      ...Object.fromEntries(Object.entries(this)),
      message: this.message,
      retryable: this.retryable,
    }
  }
}

/**
 * Tells whether a value is a DialError, also one made by another copy of this package.
 * @param code - when given, the error must have this code
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

const EXIT_CODES: Readonly<Record<FailureKind, number>> = {
  config: 2,
  network: 3,
  proxy: 4,
  tls: 5,
  server: 6,
}

/**
 * Returns the exit code of a command line: 2 for wrong configuration, 3 network, 4 proxy, 5 TLS,
 * 6 rejected by the server, 1 for any other error. A proxy that cannot be reached is 4.
 */
export function exitCodeFor(error: unknown): number {
  if (error instanceof TypeError || error instanceof RangeError) return EXIT_CODES.config
  if (!isDialError(error)) return 1
  const atProxy = error.kind === 'network' && error.leg === 'proxy'
  return EXIT_CODES[atProxy ? 'proxy' : error.kind]
}
