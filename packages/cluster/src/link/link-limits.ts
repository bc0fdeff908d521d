import type { SessionOptions, WindowBudget } from '@proj/mux'
import { RESET_REASONS } from '@proj/tunnel/io'

/**
 * Streams that one link carries at once. The quota of visitors counts them as those of an agent's session:
 * one source has a quarter at most, one endpoint half.
 */
export const MAX_LINK_STREAMS = 16_384

/** A node that is silent for so long is pinged, ms, and lost after KEEP_ALIVE_TIMEOUT_MS more: before its lease ends. */
const KEEP_ALIVE_MS = 2_000
const KEEP_ALIVE_TIMEOUT_MS = 4_000

/** Options of the mux sessions of both ends of a link. */
export function linkLimits(windowBudget: WindowBudget | undefined): Partial<SessionOptions> {
  return {
    maxInboundStreams: MAX_LINK_STREAMS,
    maxOutboundStreams: MAX_LINK_STREAMS,
    keepAliveIntervalMs: KEEP_ALIVE_MS,
    keepAliveTimeoutMs: KEEP_ALIVE_TIMEOUT_MS,
    refusalReason: RESET_REASONS.draining, // its visitor goes to another node
    ...(windowBudget !== undefined && { windowBudget }),
  }
}
