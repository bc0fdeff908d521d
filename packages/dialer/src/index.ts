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
export type { SourceOptions } from './source.ts'
export type { TlsOptions } from './tls-options.ts'

// Proxies.
export { EnvironmentProxies, proxyFromEnvironment, type Environment } from './proxy-environment.ts'
export { Proxy, type ProxyProtocol, type ProxySettings } from './proxy.ts'
export type { ProxyAuthorize, ProxyChallenge } from './proxy-challenge.ts'
export type { ProxyOption } from './route.ts'

// Errors and trying again.
export { Backoff, BACKOFF_DEFAULTS, type BackoffOptions, type BackoffReason } from './backoff.ts'
export {
  DialError,
  isDialError,
  type DialAttempt,
  type DialErrorDetails,
  type DialLeg,
  type DialPhase,
} from './dial-error.ts'
export {
  DIAL_ERRORS,
  type DialErrorCode,
  type DialErrorInfo,
  type FailureKind,
  type RetryClass,
} from './error-codes.ts'
