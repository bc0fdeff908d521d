// Joining sockets and mux channels: for programs that carry bytes themselves.
export { SocketSplice } from './socket-splice.ts'
export {
  Bandwidth,
  type Bandwidths,
  type BandwidthShare,
  MIN_BANDWIDTH,
  PacedReads,
  PacedSink,
  paced,
} from './bandwidth.ts'
export type { SpliceTap } from './splice-tap.ts'
export { OpenSplices } from './open-splices.ts'
export { FrameBoundary, formatCloseFrame } from '../websocket/frame-boundary.ts'
export { Traffic } from './traffic.ts'
export { readLent } from './lent-reads.ts'
export { GatheredWrites } from './gathered-writes.ts'
export { sentOn } from './socket-splice.ts'
export { whenProcessed } from './ordering-pings.ts'
export { isCleanEnd, watchEnd } from './end-of-socket.ts'
export { runAfter } from '../run-after.ts'
export { lingerSocket } from './linger-socket.ts'
export { resetSocket } from './reset-socket.ts'
export { takenBytes } from './taken-bytes.ts'
export { tcpSocketOf } from './tcp-socket-of.ts'
export {
  neverReachedService,
  RESET_REASONS,
  resetReasonCode,
  resetReasonName,
  resetReasonOf,
  resetReasonText,
} from '../protocol/reset-reason.ts'
export type { ResetReason } from '../protocol/reset-reason.ts'
