/** Options of a session. Its numbers are in `limits.ts`. */
import { type Clock, SYSTEM_CLOCK } from '../clock.ts'
import type { ChunkAnswer } from '../lent-memory.ts'
import { resolveLimit, type SessionLimits } from '../limits.ts'
import type { Channel } from '../stream/channel.ts'
import type { WindowBudget } from '../stream/window-budget.ts'

/** It is sent in a field of four bytes. */
const MAX_REASON = 0xffff_ffff

/** Options of a session. Only `role` is required. */
export interface SessionOptions extends Partial<SessionLimits> {
  /** Which side this is: a client opens odd stream ids, a server even ones. */
  readonly role: 'client' | 'server'
  /**
   * Takes the streams that the peer opens, without a Duplex for each: call `channel.attach(sink)` at
   * once or later. Without this option they come as `stream` events or from the async iterator.
   */
  readonly onChannel?: (channel: Channel) => void
  /**
   * Called after each chunk of the transport with the answers of all sinks together, for a transport
   * that lends its memory. See {@link ChunkAnswer}.
   */
  readonly onProcessed?: (answer: ChunkAnswer) => void
  /**
   * Sent in the RST of a stream that the peer opens after our GoAway: it was opened before the peer had that, and
   * nothing of it was read. A whole number from 0 to 2^32 - 1. @default 0
   */
  readonly refusalReason?: number
  /** Budget shared with other sessions, to bound the windows of the process. @default none */
  readonly windowBudget?: WindowBudget
  /** Source of time. @default the platform's */
  readonly clock?: Clock
}

/** Options with all defaults filled in. */
export type ResolvedSessionOptions = SessionLimits & {
  readonly role: 'client' | 'server'
  readonly clock: Clock
  readonly onChannel: ((channel: Channel) => void) | undefined
  readonly onProcessed: ((answer: ChunkAnswer) => void) | undefined
  readonly windowBudget: WindowBudget | undefined
  readonly refusalReason: number
}

/**
 * Fills in defaults and checks ranges in a new object.
 *
 * @throws {TypeError} when an option has the wrong type.
 * @throws {RangeError} when a number is out of its range.
 */
export function resolveOptions(options: SessionOptions): ResolvedSessionOptions {
  if (options.role !== 'client' && options.role !== 'server') {
    throw new TypeError(`role must be 'client' or 'server', got ${String(options.role)}`)
  }
  if (options.onChannel !== undefined && typeof options.onChannel !== 'function') {
    throw new TypeError('onChannel must be a function')
  }
  const { refusalReason = 0 } = options
  if (!Number.isInteger(refusalReason) || refusalReason < 0 || refusalReason > MAX_REASON) {
    throw new RangeError(`refusalReason must be a whole number from 0 to ${MAX_REASON}`)
  }
  const maxStreamWindowBytes = resolveLimit(options, 'maxStreamWindowBytes')
  // Spelled out: a loop or a spread takes ten times as long, most of the cost of a new session.
  return {
    role: options.role,
    clock: options.clock ?? SYSTEM_CLOCK,
    onChannel: options.onChannel,
    onProcessed: options.onProcessed,
    windowBudget: options.windowBudget,
    refusalReason,
    initialWindowBytes: resolveLimit(options, 'initialWindowBytes', maxStreamWindowBytes),
    longPathWindowBytes: Math.min(
      resolveLimit(options, 'longPathWindowBytes'),
      maxStreamWindowBytes,
    ),
    maxStreamWindowBytes,
    maxSessionGrowthBytes: resolveLimit(options, 'maxSessionGrowthBytes'),
    maxInboundStreams: resolveLimit(options, 'maxInboundStreams'),
    maxOutboundStreams: resolveLimit(options, 'maxOutboundStreams'),
    maxUnackedStreams: resolveLimit(options, 'maxUnackedStreams'),
    acceptBacklog: resolveLimit(options, 'acceptBacklog'),
    writeHighWaterBytes: resolveLimit(options, 'writeHighWaterBytes'),
    maxQueuedBytes: resolveLimit(options, 'maxQueuedBytes'),
    maxQueuedControlFrames: resolveLimit(options, 'maxQueuedControlFrames'),
    maxPingsPerSecond: resolveLimit(options, 'maxPingsPerSecond'),
    maxIdleFramesPerSecond: resolveLimit(options, 'maxIdleFramesPerSecond'),
    keepAliveIntervalMs: resolveLimit(options, 'keepAliveIntervalMs'),
    keepAliveTimeoutMs: resolveLimit(options, 'keepAliveTimeoutMs'),
    ackTimeoutMs: resolveLimit(options, 'ackTimeoutMs'),
    halfClosedTimeoutMs: resolveLimit(options, 'halfClosedTimeoutMs'),
    lingerTimeoutMs: resolveLimit(options, 'lingerTimeoutMs'),
    disposeGraceMs: resolveLimit(options, 'disposeGraceMs'),
  }
}
