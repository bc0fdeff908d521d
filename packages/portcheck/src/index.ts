// Asking
export { probe } from './probe.ts'
export { explain, type ExplainOptions } from './explain.ts'
export type { BindVerdict, Report } from './report.ts'
export { describeHolder, type Holder, type HolderState } from './holder.ts'
export { findHolders } from './find-holders.ts'
export { type Severity, type Warning, type WarningCode, WARNINGS } from './warnings.ts'

// Wanting
export type { Want, WantParts } from './want.ts'
export { type Endpoint, type Families, familiesOf, formatEndpoint } from './endpoint.ts'

// Holding
export { type Claim, CLAIM_DEFAULTS, type ClaimOptions } from './claim.ts'
export { claim, CONFLICT_DEFAULTS, type ConflictOptions } from './claim-port.ts'
export { findFree, type FindFreeOptions } from './find-free.ts'
export { type Reach, type Verification, verify, type VerifyOptions } from './verify.ts'
export { listen, listenTogether, type ListenOptions, type ListenRequest } from './listen.ts'
export { listenUnix, type ListenUnixOptions } from './listen-unix.ts'
export type { UnixListener } from './unix-listener.ts'
export type {
  BoundAddress,
  FailedAddress,
  Handshake,
  Listeners,
  OnConnection,
} from './listeners.ts'

// Peers
export { type AccessList, type AccessListOptions, createAccessList } from './access-list.ts'
export { normalisePeer, type Peer, peerOf } from './peer.ts'

// Errors
export {
  isPortcheckError,
  PORTCHECK_ERRORS,
  PortcheckError,
  type PortcheckErrorCode,
  type PortcheckErrorDetails,
} from './errors.ts'
