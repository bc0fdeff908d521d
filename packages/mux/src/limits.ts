/** Limits of a session: unit, range, default. */
import { BASE_WINDOW_BYTES } from './frame/frame.ts'

/** The numeric options of a session. All are integers; `Infinity` is no limit. */
export interface SessionLimits {
  /**
   * Receive window of a new stream. Above 262144, the window that yamux gives every stream, the rest is
   * announced with the SYN or ACK and counts against the budgets.
   * In bytes: 262144 to maxStreamWindowBytes, default 262144.
   */
  readonly initialWindowBytes: number
  /**
   * Receive window of a new stream on a long path: where the smallest of at least three round trips is LONG_PATH_MS,
   * 5 ms, or more. It is announced with the SYN or ACK, and smaller when many streams have one, see
   * `WindowBudget`. In bytes: 262144 to maxStreamWindowBytes, default 4194304.
   */
  readonly longPathWindowBytes: number
  /** Size a receive window may grow to. In bytes: 262144 to 2147483648, default 67108864. */
  readonly maxStreamWindowBytes: number
  /**
   * How much all receive windows of the session together may have above 262144 each.
   * In bytes: 0 to Infinity, default 134217728.
   */
  readonly maxSessionGrowthBytes: number
  /** Open streams of the peer; further ones are reset at once. Count: 0 to Infinity, default 4096. */
  readonly maxInboundStreams: number
  /** Open streams of ours; further ones throw MUX_STREAM_LIMIT. Count: 0 to Infinity, default 4096. */
  readonly maxOutboundStreams: number
  /**
   * Streams of ours that the peer has not acknowledged (Go peers refuse more than 256). At the limit
   * `openChannel` throws MUX_ACK_BACKLOG and `open` waits. It falls to 64 while acknowledgements come late,
   * see `ack-window.ts`. Count: 1 to 256, default 256.
   */
  readonly maxUnackedStreams: number
  /**
   * Streams of the peer that wait for a `stream` listener or the iterator; further ones are reset.
   * Count: 0 to Infinity, default 256.
   */
  readonly acceptBacklog: number
  /**
   * Queue of a stream at which `write` returns false; while 32 MiB are queued on all streams of the process,
   * it does so at the first byte. In bytes: 1 to 2147483648, default 262144. */
  readonly writeHighWaterBytes: number
  /**
   * Queue of a stream above which `write` throws MUX_QUEUE_FULL. A relay needs more than its largest
   * receive window, which may arrive all at once. In bytes: 1 to 2147483648, default 100663296.
   */
  readonly maxQueuedBytes: number
  /**
   * Control frames that wait for the transport; one more ends the session with MUX_CONTROL_BACKLOG.
   * Count: 16 to 1048576, default 16384.
   */
  readonly maxQueuedControlFrames: number
  /**
   * Pings answered per second; one more ends the session with MUX_PING_FLOOD.
   * Count: 0 to Infinity, default 100.
   */
  readonly maxPingsPerSecond: number
  /**
   * Frames per second that carry nothing: resets, empty frames, frames for streams that are closed or
   * refused. One more ends the session with MUX_CONTROL_FLOOD. Count: 0 to Infinity, default 10000.
   */
  readonly maxIdleFramesPerSecond: number
  /** Silence after which the peer is pinged. In ms: 1 to Infinity, default Infinity. */
  readonly keepAliveIntervalMs: number
  /**
   * Silence after that ping which ends the session with MUX_KEEPALIVE_TIMEOUT.
   * In ms: 1 to Infinity, default 10000.
   */
  readonly keepAliveTimeoutMs: number
  /**
   * Time the peer has to acknowledge a stream before it is reset with MUX_ACK_TIMEOUT.
   * In ms: 1 to Infinity, default 75000.
   */
  readonly ackTimeoutMs: number
  /**
   * Silence of the peer after which a stream that we ended and it did not is reset with
   * MUX_HALF_CLOSED_TIMEOUT. In ms: 1 to Infinity, default 300000.
   */
  readonly halfClosedTimeoutMs: number
  /**
   * Time the transport has to flush and close at the end before it is destroyed.
   * In ms: 1 to 600000, default 2000.
   */
  readonly lingerTimeoutMs: number
  /** Time `[Symbol.asyncDispose]` waits for streams to finish. In ms: 0 to 600000, default 5000. */
  readonly disposeGraceMs: number
}

type LimitName = keyof SessionLimits

const MiB = 1_048_576

/** The default of every number. */
export const DEFAULTS: SessionLimits = Object.freeze({
  initialWindowBytes: BASE_WINDOW_BYTES,
  longPathWindowBytes: 4 * MiB, // 80 MB/s at 50 ms from the first byte
  maxStreamWindowBytes: 64 * MiB, // 670 MB/s at 100 ms
  maxSessionGrowthBytes: 128 * MiB, // one window gets half of it
  maxInboundStreams: 4096,
  maxOutboundStreams: 4096,
  maxUnackedStreams: 256, // the accept backlog of hashicorp/yamux
  acceptBacklog: 256,
  writeHighWaterBytes: 262_144, // one batch
  maxQueuedBytes: 96 * MiB, // above the largest window: a relay may get all of one
  maxQueuedControlFrames: 16_384,
  maxPingsPerSecond: 100,
  maxIdleFramesPerSecond: 10_000,
  keepAliveIntervalMs: Infinity,
  keepAliveTimeoutMs: 10_000,
  ackTimeoutMs: 75_000, // as long as hashicorp/yamux waits
  halfClosedTimeoutMs: 300_000,
  lingerTimeoutMs: 2000,
  disposeGraceMs: 5000,
})

/** The smallest and the largest value of every number. */
const RANGES: Readonly<Record<LimitName, readonly [min: number, max: number]>> = {
  initialWindowBytes: [BASE_WINDOW_BYTES, 2 ** 31],
  longPathWindowBytes: [BASE_WINDOW_BYTES, 2 ** 31],
  maxStreamWindowBytes: [BASE_WINDOW_BYTES, 2 ** 31],
  maxSessionGrowthBytes: [0, Infinity],
  maxInboundStreams: [0, Infinity],
  maxOutboundStreams: [0, Infinity],
  maxUnackedStreams: [1, 256],
  acceptBacklog: [0, Infinity],
  writeHighWaterBytes: [1, 2 ** 31],
  maxQueuedBytes: [1, 2 ** 31],
  maxQueuedControlFrames: [16, 2 ** 20],
  maxPingsPerSecond: [0, Infinity],
  maxIdleFramesPerSecond: [0, Infinity],
  keepAliveIntervalMs: [1, Infinity],
  keepAliveTimeoutMs: [1, Infinity],
  ackTimeoutMs: [1, Infinity],
  halfClosedTimeoutMs: [1, Infinity],
  lingerTimeoutMs: [1, 600_000],
  disposeGraceMs: [0, 600_000],
}

/**
 * Returns the option `name` of `given`, or its default.
 *
 * @param max - overrides the upper bound of the range.
 * @throws {TypeError} for what is not a number.
 * @throws {RangeError} for a number out of its range.
 */
export function resolveLimit(given: Partial<SessionLimits>, name: LimitName, max?: number): number {
  const value: unknown = given[name]
  if (value === undefined || value === null) return DEFAULTS[name]
  return checked(value, name, RANGES[name][0], max ?? RANGES[name][1])
}

function checked(value: unknown, name: LimitName, min: number, max: number): number {
  if (typeof value !== 'number') {
    throw new TypeError(`${name} must be a number, got ${typeof value}`)
  }
  if (value === Infinity && max === Infinity) return value
  if (!Number.isInteger(value) || value < min || value > max) {
    const range = max === Infinity ? `of at least ${min}, or Infinity` : `from ${min} to ${max}`
    throw new RangeError(`${name} must be an integer ${range}, got ${value}`)
  }
  return value
}
