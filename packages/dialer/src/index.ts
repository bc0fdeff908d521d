// Dialing.
export { dial } from './dial.ts'
export {
  dialWebSocket,
  type ManagedWebSocket,
  WEBSOCKET_LIMITS,
  type ManagedWebSocketOptions,
} from './websocket/dial-websocket.ts'
export { dialRawWebSocket, type RawWebSocket } from './websocket/dial-raw-websocket.ts'
export type { WebSocketDialOptions } from './websocket/websocket-target.ts'

// Options.
export type { Endpoint } from './endpoint.ts'
export type { Lookup, ResolvedAddress } from './connect/lookup.ts'
export type { DialLimit } from './limit.ts'
export { DIAL_LIMITS, type DialEvent, type DialOptions, type DialTimeouts } from './options.ts'
export type { SourceOptions } from './connect/source-options.ts'
export type { Pem, TlsOptions } from './tls/options.ts'

// Proxies.
export { EnvironmentProxies, proxyFromEnvironment, type Environment } from './proxy/environment.ts'
export { NO_PROXY_FORMS, wrongNoProxyEntries } from './proxy/no-proxy.ts'
export type { FindProxy, FoundProxies } from './proxy/find-proxy.ts'
export { ProxyServer, type ProxyProtocol, type ProxySettings } from './proxy/proxy-server.ts'
export type { ProxyAuthorize, ProxyChallenge } from './proxy/challenge.ts'
export type { ProxyOption } from './proxy/select-proxy.ts'
export { systemProxy, type SystemProxies, type SystemProxyOptions } from './proxy/system-proxy.ts'

// HTTP clients.
export { createAgent, type AgentOptions } from './http/agent.ts'
export {
  createConnector,
  type Connector,
  type ConnectorCallback,
  type ConnectorTarget,
} from './http/connector.ts'

export { createDispatcher, type FetchDispatcher, type UndiciAgentClass } from './http/dispatcher.ts'

// Reports: what a dial would do, and what it did.
export { diagnose, type DiagnoseReport, type DiagnoseStep } from './report/diagnose.ts'
export type { Egress } from './report/egress.ts'
export { explainRoute, type RouteProblem, type RouteReport } from './report/explain.ts'
export { formatDiagnoseReport, formatRouteReport } from './report/format-report.ts'
export type { ReportOptions, ReportTarget } from './report/report-target.ts'

// Errors and retries.
export { Backoff, BACKOFF_LIMITS, type BackoffOptions, type BackoffReason } from './backoff.ts'
export {
  DIAL_ERRORS,
  DialError,
  exitCodeFor,
  isDialError,
  type DialAttempt,
  type DialErrorCode,
  type DialErrorDetails,
  type DialErrorInfo,
  type DialLeg,
  type DialPhase,
  type FailureKind,
  type RetryClass,
} from './errors.ts'
