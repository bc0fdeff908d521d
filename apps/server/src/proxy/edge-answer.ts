import { formatErrorResponse, isHttpError, type RequestHead } from '@proj/http1'
import type { ResetReason } from '@proj/tunnel'

/** What the edge itself answers: Piko's status and text, and a code of our own that tells the cause. */
export interface EdgeAnswer {
  readonly status: number
  /** Body text; Piko's where it has one for the case. */
  readonly error: string
  /** Header `adit-error`: stable. */
  readonly code: string
  /** Further headers: name, value, name, value. */
  readonly headers?: readonly string[]
}

/** Every answer that does not come from a refused head, by cause. */
export const EDGE_ANSWERS: Readonly<
  Record<
    | 'endpointMissing'
    | 'noUpstream'
    | 'serviceClosed'
    | 'badResponse'
    | 'firstByteTimeout'
    | 'headTimeout'
    | 'tooManyConnections'
    | 'rulesUnknown'
    | 'judgeTimeout'
    | 'judgeFailed'
    | 'tenantUnknown',
    EdgeAnswer
  >
> = {
  endpointMissing: { status: 400, error: 'missing endpoint id', code: 'endpoint_missing' },
  noUpstream: { status: 502, error: 'no available upstreams', code: 'no_upstream' },
  serviceClosed: { status: 502, error: 'upstream unreachable', code: 'service_closed' },
  badResponse: { status: 502, error: 'upstream unreachable', code: 'bad_response' },
  firstByteTimeout: { status: 504, error: 'upstream timeout', code: 'first_byte_timeout' },
  headTimeout: { status: 408, error: 'request head timeout', code: 'head_timeout' },
  tooManyConnections: { status: 503, error: 'too many connections', code: 'too_many_connections' },
  rulesUnknown: { status: 403, error: 'rules for visitors are not known', code: 'rules_unknown' },
  judgeTimeout: { status: 504, error: 'visitor check timeout', code: 'visitor_check_timeout' },
  judgeFailed: { status: 500, error: 'visitor check failed', code: 'visitor_check_failed' },
  tenantUnknown: { status: 404, error: 'unknown tenant', code: 'tenant_unknown' },
}

/** The answer to a stream that was reset before its response began. */
export function answerToReset(reason: ResetReason): EdgeAnswer {
  switch (reason) {
    case 'serviceTimeout':
      return { status: 504, error: 'upstream timeout', code: 'service_timeout' }
    case 'endpointUnknown':
    case 'noUpstream':
      return EDGE_ANSWERS.noUpstream
    default:
      return { status: 502, error: 'upstream unreachable', code: resetCode(reason) }
  }
}

/** The answer to a head that was refused. */
export function answerToFault(error: unknown): EdgeAnswer {
  if (!isHttpError(error)) return EDGE_ANSWERS.badResponse
  return { status: error.status, error: error.message, code: error.code.toLowerCase() }
}

/** The bytes of an answer. */
export function answerBytes(
  answer: EdgeAnswer,
  request: Pick<RequestHead, 'method'> | undefined,
  keepAlive: boolean,
): Buffer {
  return formatErrorResponse({
    status: answer.status,
    message: answer.error,
    code: answer.code,
    keepAlive,
    method: request?.method,
    headers: answer.headers ?? [],
  })
}

function resetCode(reason: ResetReason): string {
  return reason.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
