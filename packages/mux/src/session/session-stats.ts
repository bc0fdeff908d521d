import type { RouterParts } from './frame-router.ts'
import type { SessionState } from './lifecycle.ts'

/** A snapshot of a session. Sizes in bytes, times in ms, counters since the session began. */
export interface SessionStats {
  /** What the session is doing: `closing` waits for streams, `ending` for the transport. */
  readonly state: SessionState
  /** Open streams that the peer opened. */
  readonly inboundStreams: number
  /** Open streams that we opened. */
  readonly outboundStreams: number
  /** Streams we opened which the peer has not acknowledged. */
  readonly unackedStreams: number
  /** Streams opened by either side since the session began. */
  readonly openedStreams: number
  /** Bytes written to the transport, including headers. */
  readonly bytesSent: number
  /** Bytes read from the transport, including headers. */
  readonly bytesReceived: number
  /** Frames written to the transport. */
  readonly framesSent: number
  /** Frames whose header was read. */
  readonly framesReceived: number
  /** Bytes written to streams that wait for credit or for the transport. */
  readonly queuedBytes: number
  /** Bytes received that their streams have not consumed. */
  readonly heldBytes: number
  /** Sum of the receive windows of all open streams: the most they can hold. */
  readonly windowBytes: number
  /** Bytes that the windows took from the session's budget. */
  readonly grownBytes: number
  /** Times a stream had data to send and no credit. */
  readonly creditStalls: number
  /** Times frames waited because the transport needed a drain. */
  readonly transportStalls: number
  /** Latest round trip; undefined before the first. */
  readonly rttMs: number | undefined
  /** Smallest round trip; undefined before the first. */
  readonly minRttMs: number | undefined
  /** Pings of ours without a response. */
  readonly pendingPings: number
}

/** Reads the parts of a session; visits every stream. */
export function snapshot(
  parts: Pick<RouterParts, 'budget' | 'output' | 'pings' | 'table'>,
  state: SessionState,
  received: Pick<SessionStats, 'bytesReceived' | 'framesReceived'>,
): SessionStats {
  const { budget, output, pings, table } = parts
  let queuedBytes = 0
  let heldBytes = 0
  let windowBytes = 0
  for (const channel of table.channels()) {
    queuedBytes += channel.queuedBytes
    heldBytes += channel.heldBytes
    windowBytes += channel.receiveWindowBytes
  }
  return {
    state,
    inboundStreams: table.inbound,
    outboundStreams: table.outbound,
    unackedStreams: table.unacked,
    openedStreams: table.opened,
    bytesSent: output.bytesSent,
    bytesReceived: received.bytesReceived,
    framesSent: output.framesSent,
    framesReceived: received.framesReceived,
    queuedBytes,
    heldBytes,
    windowBytes,
    grownBytes: budget.usedBytes,
    creditStalls: table.stalls,
    transportStalls: output.transportStalls,
    rttMs: pings.lastRttMs,
    minRttMs: pings.minRttMs,
    pendingPings: pings.waiting,
  }
}
