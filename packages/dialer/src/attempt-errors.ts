// What an attempt to connect ended with, in words a person can act on. The system's codes say less
// than they seem to: the same EADDRNOTAVAIL means a foreign source address when bind() reports it
// and a busy source port when connect() does, so the system call is part of the key.

import { performance } from 'node:perf_hooks'

import { seconds } from './dial-context.ts'
import { type DialAttempt, DialError, type DialLeg } from './dial-error.ts'
import type { DialErrorCode, RetryClass } from './errors.ts'
import { listLocalAddresses } from './local-address.ts'

/**
 * The attempts of one connect step, in order of their start. One that has not ended counts as
 * unanswered, so the list is right whenever the time runs out.
 */
export class AttemptLog {
  readonly #attempts: LoggedAttempt[] = []

  /** Files the start of an attempt and returns what files its failure. */
  begin(address: string, source: string | undefined): (error: unknown) => void {
    const attempt: LoggedAttempt = {
      address,
      source,
      startedAt: performance.now(),
      endedAt: undefined,
      outcome: 'gave no answer',
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
   * Folds every attempt into one readable error. The code is that of the most telling attempt: an
   * answer says more than silence, and silence more than a missing route.
   * @param about - the target as the caller named it
   */
  fold(about: string, leg: DialLeg): DialError {
    const now = performance.now()
    const telling = this.#attempts.toSorted((a, b) => rank(a.code) - rank(b.code))[0]
    const code = telling?.code ?? 'DIAL_CONNECT_TIMEOUT'
    const attempts = this.#attempts.map(
      ({ address, source, outcome, startedAt, endedAt = now }): DialAttempt => ({
        address,
        ...(source === undefined ? {} : { source }),
        outcome,
        elapsedMs: Math.round(endedAt - startedAt),
      }),
    )
    const clauses = attempts.map(
      ({ address, source, outcome, elapsedMs }) =>
        `${address}${source === undefined ? '' : ` from ${source}`} ${outcome}` +
        (outcome === 'gave no answer' ? ` in ${seconds(elapsedMs)}` : ''),
    )
    const tried = attempts.length > 1 ? `tried ${attempts.length} times: ` : ''
    const bind = code.startsWith('DIAL_BIND_')
    return new DialError(
      code,
      `cannot reach the ${leg} at ${about}: ${tried}${clauses.join('; ')}`,
      {
        phase: bind ? 'bind' : 'connect',
        leg: bind ? 'local' : leg,
        hint: telling?.hint ?? hintFor(code, leg),
        retry: telling?.retry,
        attempts,
        cause: telling?.cause,
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
    if (errno === 'EADDRNOTAVAIL') return ['DIAL_BIND_NOT_LOCAL', `${source} is not of this host`]
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
      return ['DIAL_CONNECT_TIMEOUT', 'gave no answer']
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'ENETDOWN':
    case 'EHOSTDOWN':
      return ['DIAL_CONNECT_UNREACHABLE', `cannot be reached (${errno})`]
    case 'EADDRINUSE':
      return ['DIAL_BIND_PORT_BUSY', 'the source port is in use']
    case 'EADDRNOTAVAIL':
      // libuv allows the reuse of addresses, so Linux finds the clash only when it connects.
      return ['DIAL_BIND_PORT_BUSY', 'the source port is in use towards this target']
    case 'EINVAL':
      if (/^127\.|^::1$/.test(boundTo ?? '')) {
        return ['DIAL_BIND_LOOPBACK', `a loopback source cannot leave this host`]
      }
      return ['DIAL_CONNECT_FAILED', `failed (${errno})`]
    default:
      return ['DIAL_CONNECT_FAILED', `failed (${errno})`]
  }
}

const TELLING: readonly DialErrorCode[] = [
  'DIAL_CONNECT_REFUSED',
  'DIAL_CONNECT_RESET',
  'DIAL_CONNECT_FAILED',
  'DIAL_CONNECT_TIMEOUT',
]

function rank(code: DialErrorCode): number {
  const index = TELLING.indexOf(code)
  if (index >= 0) return index
  return code === 'DIAL_CONNECT_UNREACHABLE' ? TELLING.length + 1 : TELLING.length
}

function hintFor(code: DialErrorCode, leg: DialLeg): string | undefined {
  switch (code) {
    case 'DIAL_CONNECT_REFUSED':
      return `check host and port, and whether the ${leg} is running`
    case 'DIAL_CONNECT_TIMEOUT':
      return leg === 'server'
        ? 'a firewall may drop the traffic: does this network demand a proxy, or another source?'
        : 'a firewall may drop the traffic to the proxy'
    case 'DIAL_CONNECT_UNREACHABLE':
      return 'check the route table and whether the interface is up'
    case 'DIAL_BIND_NOT_LOCAL':
      return `addresses of this host: ${listLocalAddresses()}`
    case 'DIAL_BIND_LOOPBACK':
      return `choose one of: ${listLocalAddresses()}`
    case 'DIAL_BIND_PORT_BUSY':
      return 'drop the fixed source port, or end the connection that uses it'
    case 'DIAL_BIND_DENIED':
      return 'source ports below 1024 need a privilege'
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
