import { isDialError } from '@proj/dialer'
import { isMuxError, MUX_ERRORS } from '@proj/mux'
import { isTunnelError } from '@proj/tunnel'
import {
  RESET_REASONS,
  type ResetReason,
  resetReasonCode,
  resetReasonName,
  resetReasonText,
} from '@proj/tunnel/io'

/** Why a local connection was reset, as the log and the status tell it. */
export interface AccessFailure {
  /** Stable, one of ACCESS_FAILURES. */
  readonly code: string
  /** One sentence for people. */
  readonly text: string
}

/** Failures on this side, before the server or the agent could give a reason. */
const LOCAL_FAILURES = {
  server_unreachable: 'there is no connection to the server',
  server_lost: 'the connection to the server ended',
  server_refused: 'the server refuses us',
  too_many_connections: 'too many connections are open here',
  stopping: 'this program is stopping',
  failed: 'something else, the text says what',
}

/** Every code with what it means; the README prints it, a test compares them. */
export const ACCESS_FAILURES: Readonly<Record<string, string>> = Object.freeze({
  ...LOCAL_FAILURES,
  ...Object.fromEntries(
    (Object.keys(RESET_REASONS) as ResetReason[])
      .filter((reason) => reason !== 'consumerGone') // that is what we tell the others
      .map((reason) => [resetReasonCode(reason), resetReasonText(reason)]),
  ),
})

/** What to do about each code; docs/reference/errors prints it. */
export const ACCESS_HINTS: Readonly<Record<string, string>> = Object.freeze({
  server_unreachable: 'the log says why the server is not reached; `adit doctor` tries each step',
  server_lost: 'nothing, unless it lasts: a new connection is made at once',
  server_refused: 'use a token that may connect to the endpoint',
  too_many_connections: 'end connections that are not used: an access carries 10 000 at a time',
  stopping: 'start the program again',
  failed: 'read the text behind the code',
  unspecified: 'look at the log of the agent: an agent of Piko sends no reason',
  service_refused: 'start the service, or correct the address that the agent connects to',
  service_timeout: 'look at the load of the service, and at a firewall in front of it',
  service_unreachable:
    'correct the address that the agent connects to; the log of the agent has the reason',
  service_reset: 'look at the log of the service',
  endpoint_unknown: 'correct the name, or start the agent that serves it',
  not_permitted: 'use a token that may connect to the endpoint',
  no_upstream: 'correct the name, or start the agent that serves it',
  upstream_lost: 'connect again; the log of the agent says why its connection ended',
  draining: 'connect again in a moment',
  protocol_error: 'update both sides, and report it if it comes again',
  limit_reached: 'end connections that are not used, or ask who runs the server for a higher limit',
  idle_timeout: 'connect again; send something from time to time to keep a connection',
  kind_mismatch: 'open an endpoint of HTTP with a browser, or publish it with `adit tcp`',
  service_closed: 'connect again; look at the log of the service if it lasts',
  not_here: 'connect again in a moment',
  service_down: 'look at the service: it fails the health checks of its agent',
})

/** One of the failures of this side. */
export function localFailure(code: keyof typeof LOCAL_FAILURES, detail?: string): AccessFailure {
  const text = LOCAL_FAILURES[code]
  return { code, text: detail === undefined ? text : `${text}: ${detail}` }
}

/** Reads why a stream did not end well; undefined when it was this side's own doing. */
export function failureOfStream(error: unknown): AccessFailure | undefined {
  if (!isMuxError(error)) return localFailure('failed', textOf(error))
  if (error.code === 'MUX_STREAM_ABORTED') return undefined
  if (error.code !== 'MUX_STREAM_RESET') {
    const ended = MUX_ERRORS[error.code].ends === 'session' || error.code === 'MUX_GOAWAY_RECEIVED'
    return ended ? localFailure('server_lost') : localFailure('failed', error.message)
  }
  const reason = resetReasonName(error.reason)
  return { code: resetReasonCode(reason), text: resetReasonText(reason) }
}

/**
 * Reads why no stream could be opened.
 *
 * @param lastProblem - what the last attempt to reach the server said, if it failed.
 */
export function failureToOpen(error: unknown, lastProblem: unknown): AccessFailure {
  if (error instanceof Error && error.name === 'TimeoutError') return failureOfLink(lastProblem)
  if (isTunnelError(error, 'TUNNEL_CLOSED')) return localFailure('stopping')
  if (isTunnelError(error, 'TUNNEL_UNAUTHORIZED')) {
    return { code: resetReasonCode('notPermitted'), text: error.message }
  }
  if (isTunnelError(error, 'TUNNEL_UPGRADE_REFUSED')) {
    return localFailure('server_refused', error.message)
  }
  // A handshake with a Piko server is for one connection: 502 means that no agent serves the endpoint.
  if (isDialError(error) && error.status === 502) {
    return { code: resetReasonCode('noUpstream'), text: resetReasonText('noUpstream') }
  }
  if (isDialError(error)) return failureOfLink(error)
  if (isMuxError(error) && error.code === 'MUX_STREAM_LIMIT') {
    return { code: resetReasonCode('limitReached'), text: error.message }
  }
  return localFailure('failed', textOf(error))
}

/** There is no session: what the attempts to get one say. */
function failureOfLink(problem: unknown): AccessFailure {
  const stopping =
    isDialError(problem) &&
    problem.status === 503 &&
    problem.bodyText?.includes('shutting down') === true
  if (stopping) return { code: resetReasonCode('draining'), text: 'the server is shutting down' }
  return localFailure('server_unreachable', problem === undefined ? undefined : textOf(problem))
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
