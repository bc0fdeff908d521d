import { checkOptionNames } from '../option-names.ts'
import { MANAGED_OPTION_NAMES } from '../websocket/dial-websocket.ts'
import { type ResolvedDialOptions, resolveDialOptions } from '../options.ts'
import type { RouteScheme } from '../proxy/environment.ts'
import { resolveWebSocket, type WebSocketDialOptions } from '../websocket/websocket-target.ts'
import { type Endpoint, formatEndpoint, checkEndpoint } from '../endpoint.ts'

/** A target of explainRoute and diagnose: a URL (ws, wss, http, https), or an endpoint. */
export type ReportTarget = string | URL | Endpoint

/** Options of explainRoute and diagnose: those of the dial. */
export type ReportOptions = WebSocketDialOptions

/** A target after its checks. */
export interface ResolvedReportTarget {
  /** URL without credentials and query, or host and port. */
  readonly text: string
  readonly endpoint: Endpoint
  readonly scheme: RouteScheme
  readonly resolved: ResolvedDialOptions
}

/** Checks a target with its options. */
export function resolveReportTarget(
  target: ReportTarget,
  options: ReportOptions,
): ResolvedReportTarget {
  checkOptionNames('', options, MANAGED_OPTION_NAMES)
  if (typeof target === 'object' && !(target instanceof URL)) {
    const endpoint = checkEndpoint(target)
    const resolved = resolveDialOptions(options)
    const scheme = resolved.tls === undefined ? 'tcp' : 'tls'
    return { text: formatEndpoint(endpoint), endpoint, scheme, resolved }
  }
  const { about, endpoint, scheme, resolved } = resolveWebSocket(target, options)
  return { text: about, endpoint, scheme, resolved }
}
