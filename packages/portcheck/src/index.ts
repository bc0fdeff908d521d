// Checking a port
export { probe } from './probe/probe.ts'
export { explain, type ExplainOptions } from './probe/explain.ts'
export type { BindVerdict, Report } from './report.ts'
export { describeHolder, type Holder, type HolderState } from './holders/holder.ts'
export { findHolders } from './holders/find-holders.ts'
export { type Severity, type Warning, type WarningCode, WARNINGS } from './warnings.ts'

// Addresses
export type { Want, WantParts } from './claim/wanted-address.ts'
export { type Endpoint, type Families, familiesOf, formatEndpoint } from './endpoint.ts'

// Holding a port
export type { Claim, ClaimOptions } from './claim/claim.ts'
export { claim, type ConflictOptions } from './claim/claim-port.ts'
export { type InheritedSocket, InheritedSockets } from './claim/inherited-sockets.ts'
export { findFree, type FindFreeOptions } from './claim/find-free.ts'
export { type Reach, type Verification, verify, type VerifyOptions } from './verify.ts'
export { listen, listenTogether, type ListenOptions, type ListenRequest } from './listen/listen.ts'
export {
  type InheritedUnixSocket,
  listenInheritedUnix,
  listenUnix,
  type ListenUnixOptions,
  removeInheritedUnix,
  type UnixListener,
} from './listen/listen-unix.ts'
export type { BoundAddress, FailedAddress, Handshake, OnConnection } from './listen/listeners.ts'
export { Listeners } from './listen/listeners.ts'

export type { ProxyProtocolOptions } from './listen/proxy-front.ts'
export { beginsWithProxyHeader } from './listen/proxy-header.ts'

// Peers
export { normalisePeer, type Peer, peerOf } from './listen/peer.ts'

// Limits and errors
export { PORTCHECK_LIMITS, type PortcheckLimit } from './limits.ts'
export {
  isPortcheckError,
  PORTCHECK_ERRORS,
  PortcheckError,
  type PortcheckErrorCode,
  type PortcheckErrorDetails,
} from './errors.ts'
