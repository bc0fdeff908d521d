// The server half: what agents and consumers connect to.
export { UpstreamAcceptor } from './upstream-acceptor.ts'
export { ConsumerAcceptor } from './consumer-acceptor.ts'
export type { ConnectRequest } from './consumer-acceptor.ts'
export type { ConsumerStatus } from './consumer-session.ts'
export { isBusy, openConnection, tellRejected } from './open-connection.ts'
export type { EndedConnection } from './ended-connection.ts'
export type { ConnectionRejection, TcpConnection } from './open-connection.ts'
export { AGENT_KEY_LENGTH, isAgentList } from './agent-key.ts'
export { HopAcceptor } from './hop-acceptor.ts'
export { areEqualRules, type RemoteRoute, type RemoteUpstreams } from './remote-upstreams.ts'
export { RecordSink } from '../protocol/record-sink.ts'
export { encodeStreamRecord, type StreamRecord } from '../protocol/stream-record.ts'
export { STREAM_QUOTA_LIMITS, StreamQuota } from './stream-quota.ts'
export type { ReachedQuota, StreamQuotaOptions } from './stream-quota.ts'
export { VisitorWaits, type VisitorWaitLimits } from './visitor-waits.ts'
export { type Balance, BALANCES } from './balance.ts'
export { UpstreamRegistry } from './upstream-registry.ts'
export type { Upstream } from './upstream.ts'
export { Doubt, DOUBT_MS } from '../protocol/doubt.ts'
export { checkEndpointName, endpointKey, endpointText, isHostLabel } from '../protocol/endpoint.ts'
export type { Endpoint } from '../protocol/endpoint.ts'
export { strictestLimits } from '../protocol/endpoint-limits.ts'
export { EndpointMap } from '../protocol/endpoint-map.ts'
export type { LastOutcome, StreamOutcome } from '../protocol/stream-outcome.ts'
export type { ReadVisitorRules, VisitorRules } from '../protocol/visitor-rules.ts'
export type { PortLease, PortRejection, PortWish, PublicPortSource } from './port-leases.ts'
export type { NameClaims, NameLease, NameRejection } from './name-claims.ts'
export { type LocalRoute, readRouteRules } from './local-route.ts'
export { claimName, conflictDetails, conflictText } from './claim-name.ts'
export type { ClaimContext, NameClaim, NameConflict } from './claim-name.ts'
export { allowAll, isDenial } from './authorization.ts'
export type {
  AuthorizationRequest,
  Authorize,
  ClientCertificate,
  Denial,
  Grant,
} from './authorization.ts'
export {
  DOMAINS_ROUTE,
  OFFLINE_PAGES_ROUTE,
  RESERVATIONS_ROUTE,
  routeEndpoint,
  SESSION_ENDPOINT,
} from '../protocol/routes.ts'
export { formatAnswer, jsonAnswer, retryAfterSeconds, sendAnswer } from '../protocol/http-answer.ts'
