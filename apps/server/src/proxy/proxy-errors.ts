import { STATUS_CODES } from 'node:http'

import {
  type ErrorContent,
  type ErrorForm,
  errorForm,
  formatErrorResponse,
  formatResponseHead,
  HTTP_FAULTS,
  isHttpError,
  type RequestHead,
} from '@proj/http1'
import { visitorAnswer } from '@proj/program-kit'
import { type ResetReason, resetReasonCode } from '@proj/tunnel/io'

import type { ErrorPages } from './error-pages.ts'

/** An error response of the server itself: Piko's status and text, and a code of ours for the cause. */
export interface ProxyError {
  readonly status: number
  /** Body text; Piko's where it has one for the case. */
  readonly error: string
  /** Header `adit-error`: stable. */
  readonly code: string
  /** Values of `www-authenticate`. */
  readonly challenges?: readonly string[]
  /** When it helps to ask again, ms. */
  readonly retryAfterMs?: number | undefined
  /** The setting whose time has passed; the text names it too. */
  readonly setting?: string
  /** Body of an answer that is no error, as plain text. */
  readonly text?: string
}

/** Every error whose response is known beforehand, by cause. */
export const PROXY_ERRORS: Readonly<
  Record<
    | 'endpointMissing'
    | 'noUpstream'
    | 'noUpstreamPiko'
    | 'endpointNotHttp'
    | 'agentBusy'
    | 'agentFull'
    | 'endpointQuota'
    | 'sourceQuota'
    | 'endpointRate'
    | 'endpointBandwidth'
    | 'visitorRate'
    | 'endpointConcurrent'
    | 'bodyTooLarge'
    | 'timeLimit'
    | 'loopDetected'
    | 'serviceClosed'
    | 'badResponse'
    | 'firstByteTimeout'
    | 'uploadTimeout'
    | 'bodyTimeout'
    | 'bodyTooSlow'
    | 'interimLimit'
    | 'headTimeout'
    | 'lengthRequired'
    | 'proxyHeader'
    | 'tooManyConnections'
    | 'overloaded'
    | 'visitorCheckTimeout'
    | 'visitorCheckFailed'
    | 'tenantUnknown'
    | 'proofUnknown',
    ProxyError
  >
> = {
  endpointMissing: { status: 400, error: 'missing endpoint id', code: 'endpoint_missing' },
  // Nothing has reached a service: a balancer may send the request to another server, whatever its method.
  noUpstream: {
    status: 503,
    error: 'no available upstreams',
    code: 'no_upstream',
    retryAfterMs: 1_000,
  },
  // As Piko's server has it, for a request that names its endpoint in the header of Piko.
  noUpstreamPiko: { status: 502, error: 'no available upstreams', code: 'no_upstream' },
  endpointNotHttp: {
    status: 404,
    error: 'endpoint does not carry HTTP',
    code: 'endpoint_not_http',
  },
  // The agent has not acknowledged the last streams for as long as a visitor waits.
  agentBusy: { status: 503, error: 'agent busy', code: 'agent_busy', retryAfterMs: 1_000 },
  // All sessions of the agents have as many open streams as they may.
  agentFull: { status: 503, error: 'agent full', code: 'agent_full', retryAfterMs: 1_000 },
  // One endpoint or one source has as many streams of the agents as it may.
  endpointQuota: {
    status: 503,
    error: 'too many requests for the endpoint',
    code: 'endpoint_quota',
    retryAfterMs: 1_000,
  },
  sourceQuota: {
    status: 429,
    error: 'too many requests at once from your address',
    code: 'source_quota',
    retryAfterMs: 1_000,
  },
  // Limits of the operator for an endpoint; when to come again is said each time.
  endpointRate: { status: 429, error: 'too many requests to the endpoint', code: 'endpoint_rate' },
  visitorRate: { status: 429, error: 'too many requests from your address', code: 'visitor_rate' },
  endpointConcurrent: {
    status: 429,
    error: 'too many requests to the endpoint at once',
    code: 'endpoint_concurrent',
  },
  endpointBandwidth: {
    status: 429,
    error: 'too many bytes to the endpoint',
    code: 'endpoint_bandwidth',
    retryAfterMs: 1_000,
  },
  bodyTooLarge: {
    status: 413,
    error: 'the body of the request is too large for the endpoint',
    code: 'body_too_large',
  },
  timeLimit: {
    status: 504,
    error: 'the request took longer than the endpoint allows',
    code: 'time_limit',
  },
  loopDetected: { status: 508, error: 'too many Adit servers on the way', code: 'loop_detected' },
  serviceClosed: { status: 502, error: 'upstream unreachable', code: 'service_closed' },
  badResponse: { status: 502, error: 'upstream unreachable', code: 'bad_response' },
  interimLimit: { status: 502, error: 'too many interim responses', code: 'interim_limit' },
  firstByteTimeout: {
    status: 504,
    error: 'upstream timeout: the service did not answer within proxy.first_byte_timeout',
    code: 'first_byte_timeout',
    setting: 'proxy.first_byte_timeout',
  },
  uploadTimeout: {
    status: 504,
    error: 'upstream timeout: the service did not read the request within proxy.idle_timeout',
    code: 'upload_timeout',
    setting: 'proxy.idle_timeout',
  },
  bodyTimeout: {
    status: 408,
    error: 'request body timeout: no byte of it came within proxy.idle_timeout',
    code: 'body_timeout',
    setting: 'proxy.idle_timeout',
  },
  bodyTooSlow: {
    status: 408,
    error: 'request body too slow: fewer bytes per second than proxy.min_rate',
    code: 'body_too_slow',
    setting: 'proxy.min_rate',
  },
  headTimeout: { status: 408, error: 'request head timeout', code: 'head_timeout' },
  lengthRequired: {
    status: 411,
    error:
      'the request has neither Content-Length nor Transfer-Encoding, and bytes follow its head',
    code: 'length_required',
  },
  proxyHeader: {
    status: 400,
    error:
      'the connection begins with a PROXY protocol header: to take it, set proxy.proxy_protocol_from',
    code: 'proxy_header_rejected',
    setting: 'proxy.proxy_protocol_from',
  },
  tooManyConnections: { status: 503, error: 'too many connections', code: 'too_many_connections' },
  // The event loop is late, and as many requests run as may.
  overloaded: { status: 503, error: 'overloaded', code: 'overloaded', retryAfterMs: 1_000 },
  visitorCheckTimeout: {
    status: 504,
    error: 'visitor check timeout',
    code: 'visitor_check_timeout',
  },
  visitorCheckFailed: { status: 500, error: 'visitor check failed', code: 'visitor_check_failed' },
  tenantUnknown: { status: 404, error: 'unknown tenant', code: 'tenant_unknown' },
  proofUnknown: {
    status: 404,
    error: 'the domain was not proved by HTTP at this server',
    code: 'proof_unknown',
  },
}

/** The error for a stream that was reset before its response began. */
export function errorForReset(reason: ResetReason): ProxyError {
  switch (reason) {
    case 'serviceTimeout':
      return { status: 504, error: 'upstream timeout', code: 'service_timeout' }
    case 'kindMismatch':
      return PROXY_ERRORS.endpointNotHttp
    case 'endpointUnknown':
    case 'noUpstream':
    case 'notHere':
      return PROXY_ERRORS.noUpstream
    default:
      return { status: 502, error: 'upstream unreachable', code: resetReasonCode(reason) }
  }
}

/** The error for a message that was refused while it was parsed. */
export function errorForFault(fault: unknown): ProxyError {
  if (!isHttpError(fault)) return PROXY_ERRORS.badResponse
  const hint =
    fault.side === 'response' ? `; to mend the service: ${HTTP_FAULTS[fault.fault].hint}` : ''
  return { status: fault.status, error: `${fault.message}${hint}`, code: fault.code.toLowerCase() }
}

/** Made once: under load this answer has to cost less than the request. */
const OVERLOADED = formatErrorResponse({
  ...PROXY_ERRORS.overloaded,
  message: PROXY_ERRORS.overloaded.error,
  keepAlive: true,
})

/** What an error response tells beside the error. */
export interface ProxyErrorFacts {
  /** Undefined when the request could not be read. */
  readonly request: Pick<RequestHead, 'method' | 'headers'> | undefined
  /** Identifier of the request, for a client that wants a page, text or JSON. */
  readonly requestId: () => string | undefined
  readonly keepAlive: boolean
  /** Pages of the operator. */
  readonly pages: ErrorPages
  /** The page that the agent of the endpoint gave for when it is away. */
  readonly offlinePage: (code: string) => string | undefined
}

/** The bytes of an error response, in the form that the client accepts. */
export function formatProxyError(error: ProxyError, facts: ProxyErrorFacts): Buffer {
  const { request, keepAlive } = facts
  if (error.text !== undefined) return formatText(error.status, error.text, facts)
  const form = request === undefined ? 'any' : errorForm(request.headers)
  const isReady = form === 'any' && keepAlive && request?.method !== 'HEAD'
  if (isReady && error === PROXY_ERRORS.overloaded) return OVERLOADED
  return formatErrorResponse({
    ...error,
    message: error.error,
    keepAlive,
    method: request?.method,
    content: form === 'any' ? undefined : contentOf(error, form, facts),
  })
}

function formatText(status: number, text: string, { request, keepAlive }: ProxyErrorFacts): Buffer {
  const body = Buffer.from(`${text}\n`)
  const head = formatResponseHead({
    status,
    reason: STATUS_CODES[status] ?? '',
    headers: [
      'content-type',
      'text/plain',
      'x-content-type-options',
      'nosniff',
      'cache-control',
      'no-store',
      'content-length',
      String(body.length),
      'connection',
      keepAlive ? 'keep-alive' : 'close',
    ],
  })
  const headBytes = Buffer.from(head, 'latin1')
  return request?.method === 'HEAD' ? headBytes : Buffer.concat([headBytes, body])
}

function contentOf(
  error: ProxyError,
  form: Exclude<ErrorForm, 'any'>,
  { pages, requestId, offlinePage }: ProxyErrorFacts,
): ErrorContent {
  const { code, status } = error
  const page = form === 'html' ? (offlinePage(code) ?? pages.find(code, status)) : undefined
  return visitorAnswer({ ...error, requestId: requestId(), page }, form, Date.now())
}

/** The answer to a connection that is one too many. */
export const TOO_MANY_CONNECTIONS = formatErrorResponse({
  ...PROXY_ERRORS.tooManyConnections,
  message: PROXY_ERRORS.tooManyConnections.error,
  keepAlive: false,
})
