export { TUNNEL_ERRORS, TunnelError, isTunnelError } from './errors.ts'
export type { TunnelErrorCode, TunnelErrorInfo, TunnelErrorOptions } from './errors.ts'

export { TUNNEL_LIMITS } from './limits.ts'
export type { TunnelLimit } from './limits.ts'

// --- SDK
export { dial, explainReset, listen } from './sdk.ts'
export { Agent } from './agent.ts'
export type { AgentEvents, AgentOptions } from './agent.ts'
export { Listener } from './listener.ts'
export type { AcceptChannel, ListenerEvents, ListenOptions } from './listener.ts'
export { forward } from './forward.ts'
export type { ForwardOptions } from './forward.ts'
export type { ProxyProtocolVersion } from './proxy-protocol.ts'
export { Consumer } from './consumer.ts'
export type { EndpointState } from './endpoint-state.ts'
export type { ConsumerEvents, ConsumerOptions, Way } from './consumer.ts'
export { releaseName, reservedNames, reserveName } from './reservations.ts'
export type { ReservationOptions, ReservedName } from './reservations.ts'
export { sessionHandshake } from './server-options.ts'
export type { Handshake, ServerOptions } from './server-options.ts'

// --- server half
export { UpstreamAcceptor } from './upstream-acceptor.ts'
export type { UpstreamAcceptorLimits, UpstreamAcceptorOptions } from './upstream-acceptor.ts'
export { ConnectAcceptor } from './connect-acceptor.ts'
export type { ConnectAcceptorOptions } from './connect-acceptor.ts'
export { connectRecord } from './connect-request.ts'
export type { ConnectRequest } from './connect-request.ts'
export { openUpstream } from './open-upstream.ts'
export type { NoStream } from './open-upstream.ts'
export type { PortLease, PortRefusal, PortWish, PublicPortSource } from './public-port.ts'
export { UpstreamRegistry } from './upstream-registry.ts'
export type { RegistryEvents, Upstream } from './upstream-registry.ts'
export type { ReadVisitorRules, VisitorRules } from './visitor-rules.ts'
export { checkEndpointName } from './endpoint-name.ts'
export { RESERVATIONS_ROUTE } from './reservations-route.ts'
export { routeEndpoint, SESSION_ENDPOINT } from './routes.ts'
export { endpointKey } from './endpoint-key.ts'
export { claimName } from './claim-name.ts'
export type { ClaimContext, NameClaim, NameReservations } from './claim-name.ts'
export { conflictDetails, conflictText } from './name-conflict.ts'
export type { ConflictDetails, NameConflict, RefusedName } from './name-conflict.ts'
export { allowAll } from './grant.ts'
export { isDenial } from './authorization.ts'
export type { AuthorizationRequest, Authorize, ClientCertificate, Denial } from './authorization.ts'
export type { EndpointAction, Grant } from './grant.ts'

export { jsonRefusal, sendRefusal } from './refusal.ts'

// --- wire
export { readLent } from './lent-reads.ts'
export type { TakeChunk } from './lent-reads.ts'
export { GatheredWrites } from './gathered-writes.ts'
export { sentOn, SocketSplice } from './socket-splice.ts'
export { Traffic } from './traffic.ts'
export type { MeteredConnection } from './traffic.ts'
export { resetSocket } from './reset-socket.ts'
export { carrierOf } from './tls-carrier.ts'
export { ChannelSplice } from './channel-splice.ts'
export { OutcomeWatch } from './stream-outcome.ts'
export type { LastOutcome, StreamOutcome } from './stream-outcome.ts'
export {
  RESET_REASONS,
  neverReachedService,
  resetReasonName,
  resetReasonOf,
  resetReasonText,
} from './reset-reason.ts'
export type { ResetReason } from './reset-reason.ts'
export { MAX_RECORD_BYTES, StreamRecordReader, encodeStreamRecord } from './stream-record.ts'
export type { StreamRecord } from './stream-record.ts'
export type { Logger, LogLine } from './logger.ts'
