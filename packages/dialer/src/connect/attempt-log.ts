// Explains why attempts to connect failed. A system error code alone is not enough: EADDRNOTAVAIL of
// bind() means that the host does not have the source address, and of connect() that the source port
// is in use. So the system call is part of the key.

import { performance } from 'node:perf_hooks'

import { isLoopback } from '@proj/config/address'

import { seconds } from '../dial-context.ts'
import {
  type DialAttempt,
  DialError,
  type DialErrorCode,
  type DialLeg,
  type RetryClass,
} from '../errors.ts'
import { listLocalAddresses } from './current-sources.ts'

const NO_ANSWER = 'gave no answer'

/**
 * The attempts of one connect step, in the order of their start. A running attempt counts as one
 * without an answer, so the list is correct at any time.
 */
export class AttemptLog {
  readonly #attempts: LoggedAttempt[] = []

  /** Logs the start of an attempt and returns the function that logs its failure. */
  begin(address: string, source: string | undefined): (error: unknown) => void {
    const attempt: LoggedAttempt = {
      address,
      source,
      startedAt: performance.now(),
      endedAt: undefined,
      outcome: NO_ANSWER,
      code: 'DIAL_CONNECT_TIMEOUT',
      cause: undefined,
      hint: undefined,
      retry: undefined,
    }
    this.#attempts.push(attempt)
    return (error) => {
      attempt.endedAt = performance.now()
      const errno = field(error, 'code')
      if (error instanceof DialError) {
        attempt.code = error.code
        attempt.outcome = error.message
        attempt.hint = error.hint
        attempt.retry = error.retry
      } else if (errno !== undefined) {
        attempt.cause = error
        ;[attempt.code, attempt.outcome] = classify(errno, field(error, 'syscall'), source)
      }
    }
  }

  /**
   * Makes one error of all attempts. Its code is that of the most useful attempt: an answer is more
   * useful than a timeout, and a timeout more than a missing route.
   * @param about - the target as the caller wrote it
   */
  toError(about: string, leg: DialLeg): DialError {
    const now = performance.now()
    const decisive = this.#attempts.toSorted((a, b) => rank(a.code) - rank(b.code))[0]
    const code = decisive?.code ?? 'DIAL_CONNECT_TIMEOUT'
    const attempts = this.#attempts.map(
      ({ address, source, outcome, startedAt, endedAt = now }): DialAttempt => ({
        address,
        ...(source === undefined ? {} : { source }),
        outcome,
        elapsedMs: Math.round(endedAt - startedAt),
      }),
    )
    const clauses = this.#attempts.map(
      ({ address, source, outcome, code: ofAttempt, startedAt, endedAt = now }) =>
        `${address}${source === undefined ? '' : ` from ${source}`} ${outcome}` +
        (ofAttempt === 'DIAL_CONNECT_TIMEOUT' ? ` in ${seconds(endedAt - startedAt)}` : ''),
    )
    const tried = attempts.length > 1 ? `tried ${attempts.length} times: ` : ''
    const bind = code.startsWith('DIAL_BIND_')
    return new DialError(
      code,
      `cannot reach the ${leg} at ${about}: ${tried}${clauses.join('; ')}`,
      {
        phase: bind ? 'bind' : 'connect',
        leg: bind ? 'local' : leg,
        hint: decisive?.hint ?? hintFor(code, leg),
        retry: decisive?.retry,
        attempts,
        cause: decisive?.cause,
      },
    )
  }
}

interface LoggedAttempt {
  readonly address: string
  readonly source: string | undefined
  readonly startedAt: number
  endedAt: number | undefined
  outcome: string
  code: DialErrorCode
  cause: unknown
  hint: string | undefined
  retry: RetryClass | undefined
}

function classify(
  errno: string,
  syscall: string | undefined,
  boundTo: string | undefined,
): readonly [DialErrorCode, string] {
  const source = boundTo ?? 'the source address'
  if (syscall === 'bind') {
    if (errno === 'EADDRNOTAVAIL') {
      return ['DIAL_BIND_NOT_LOCAL', `${source} is not an address of this host`]
    }
    if (errno === 'EADDRINUSE') return ['DIAL_BIND_PORT_BUSY', 'the source port is in use']
    if (errno === 'EACCES' || errno === 'EPERM') return ['DIAL_BIND_DENIED', `bind gave ${errno}`]
    if (errno === 'EINVAL') return ['DIAL_BIND_ZONE', `${source} cannot be bound (${errno})`]
  }
  switch (errno) {
    case 'ECONNREFUSED':
      return ['DIAL_CONNECT_REFUSED', 'refused the connection']
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
      return ['DIAL_CONNECT_RESET', 'closed the connection at once']
    case 'ETIMEDOUT':
      return ['DIAL_CONNECT_TIMEOUT', NO_ANSWER]
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'ENETDOWN':
    case 'EHOSTDOWN':
      return ['DIAL_CONNECT_UNREACHABLE', `cannot be reached (${errno})`]
    case 'EADDRINUSE':
      return ['DIAL_BIND_PORT_BUSY', 'the source port is in use']
    case 'EADDRNOTAVAIL':
      if (boundTo === undefined) {
        const why = 'this host has no address for it, or no free port'
        return ['DIAL_CONNECT_UNREACHABLE', `cannot be reached: ${why} (${errno})`]
      }
      // libuv sets SO_REUSEADDR, so Linux finds the conflict only at connect().
      return ['DIAL_BIND_PORT_BUSY', 'the source port is in use for this target']
    case 'EINVAL':
      if (isLoopback(boundTo ?? '')) {
        return ['DIAL_BIND_LOOPBACK', `a loopback source address cannot reach another host`]
      }
      return ['DIAL_CONNECT_FAILED', `failed (${errno})`]
    default:
      return ['DIAL_CONNECT_FAILED', `failed (${errno})`]
  }
}

const BY_USE: readonly DialErrorCode[] = [
  'DIAL_CONNECT_REFUSED',
  'DIAL_CONNECT_RESET',
  'DIAL_CONNECT_FAILED',
  'DIAL_CONNECT_TIMEOUT',
]

function rank(code: DialErrorCode): number {
  const index = BY_USE.indexOf(code)
  if (index >= 0) return index
  return code === 'DIAL_CONNECT_UNREACHABLE' ? BY_USE.length + 1 : BY_USE.length
}

function hintFor(code: DialErrorCode, leg: DialLeg): string | undefined {
  switch (code) {
    case 'DIAL_CONNECT_REFUSED':
      return `check host and port, and that the ${leg} is running`
    case 'DIAL_CONNECT_TIMEOUT':
      return leg === 'proxy'
        ? 'a firewall may drop the packets to the proxy'
        : 'a firewall may drop the packets: check whether this network needs a proxy or another source address'
    case 'DIAL_CONNECT_UNREACHABLE':
      return 'check the route table, and that the interface is up'
    case 'DIAL_BIND_NOT_LOCAL':
      return `addresses of this host: ${listLocalAddresses()}`
    case 'DIAL_BIND_LOOPBACK':
      return `choose one of: ${listLocalAddresses()}`
    case 'DIAL_BIND_PORT_BUSY':
      return 'remove the fixed source port, or close the connection that uses it'
    case 'DIAL_BIND_DENIED':
      return 'source ports below 1024 need the capability CAP_NET_BIND_SERVICE or root'
    case 'DIAL_BIND_ZONE':
      return `addresses of this host: ${listLocalAddresses()}`
    default:
      return undefined
  }
}

function field(error: unknown, name: 'code' | 'syscall'): string | undefined {
  if (typeof error !== 'object' || error === null || !(name in error)) return undefined
  const value = (error as Record<string, unknown>)[name]
  return typeof value === 'string' ? value : undefined
}
