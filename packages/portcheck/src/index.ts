// Asking
export { probe } from './probe.ts'
export type { BindVerdict, Report } from './report.ts'
export type { Holder, HolderState } from './holder.ts'
export { type Severity, type Warning, type WarningCode, WARNINGS } from './warnings.ts'

// Wanting
export type { Want, WantParts } from './want.ts'
export { type Endpoint, type Families, familiesOf, formatEndpoint } from './endpoint.ts'

// Holding
export { Claim, claim, CLAIM_DEFAULTS, type ClaimOptions } from './claim.ts'
export { listen, type ListenOptions } from './listen.ts'
export { CONFLICT_DEFAULTS, type ConflictOptions } from './conflict.ts'
export type { BoundAddress, FailedAddress, Listeners, OnConnection } from './listeners.ts'

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
