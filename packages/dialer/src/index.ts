// Dialing.
export { dial } from './dial.ts'
export {
  dialWebSocket,
  WEBSOCKET_DEFAULTS,
  type ManagedWebSocketOptions,
} from './dial-websocket.ts'
export { dialRawWebSocket } from './dial-raw-websocket.ts'
export type { RawWebSocket } from './upgrade.ts'
export type { WebSocketDialOptions } from './websocket-target.ts'

// Options.
export type { Endpoint } from './connect.ts'
export type { DialEvent } from './dial-context.ts'
export type { Lookup, ResolvedAddress } from './lookup.ts'
export { DIAL_DEFAULTS, type DialOptions, type DialTimeouts } from './options.ts'
export type { SourceOptions } from './source-options.ts'
export type { TlsOptions } from './tls-options.ts'

// Proxies.
export { EnvironmentProxies, proxyFromEnvironment, type Environment } from './proxy-environment.ts'
export { ProxyServer, type ProxyProtocol, type ProxySettings } from './proxy-server.ts'
export type { ProxyAuthorize, ProxyChallenge } from './proxy-challenge.ts'
export type { ProxyOption } from './route.ts'

// HTTP clients.
export { createAgent, createHttpAgent } from './agent.ts'
export {
  createConnector,
  type Connector,
  type ConnectorCallback,
  type ConnectorTarget,
} from './connector.ts'

// Finding out what would happen, and what did.
export { diagnose, type DiagnoseReport, type DiagnoseStep } from './diagnose.ts'
export type { Egress } from './egress.ts'
export { exitCodeFor } from './exit-code.ts'
export { explainRoute, type RouteProblem, type RouteReport } from './explain.ts'
export { formatDiagnoseReport, formatRouteReport } from './format-report.ts'
export type { ReportOptions, ReportTarget } from './report-target.ts'

// Errors and trying again.
export { Backoff, BACKOFF_DEFAULTS, type BackoffOptions, type BackoffReason } from './backoff.ts'
export {
  DialError,
  type DialAttempt,
  type DialErrorDetails,
  type DialLeg,
  type DialPhase,
} from './dial-error.ts'
export { isDialError } from './is-dial-error.ts'
export {
  DIAL_ERRORS,
  type DialErrorCode,
  type DialErrorInfo,
  type FailureKind,
  type RetryClass,
} from './errors.ts'
