/** Options of a session: what they mean, their defaults and their ranges. */
import type { Channel } from './channel.ts'
import type { ChunkAnswer } from './chunk-use.ts'
import { BASE_WINDOW_BYTES } from './frame.ts'
import type { WindowBudget } from './window-budget.ts'

/** Where time comes from; given by tests. */
export interface Clock {
  /** Monotonic time in ms. */
  now(): number
  /** Calls `callback` once after `ms`, without keeping the process alive; returns what cancels it. */
  after(ms: number, callback: () => void): () => void
}

/** What a session can be told. Only `role` is required. */
export interface SessionOptions {
  /** Which side this is: a client opens odd stream ids, a server even ones. */
  readonly role: 'client' | 'server'
  /**
   * Takes streams the peer opens, without a Duplex each: call `channel.attach(sink)` at once or
   * later. Without it they come as `stream` events or through the async iterator.
   */
  readonly onChannel?: (channel: Channel) => void
  /**
   * Called after each chunk the transport delivered, with what the sinks said of its memory: a
   * transport that reads into the same buffers again and again needs to know.
   */
  readonly onProcessed?: (answer: ChunkAnswer) => void
  /**
   * Receive window of a new stream, bytes, from 262144 to `maxStreamWindowBytes`. Anything above
   * the base is announced with the SYN or ACK, and counts against the budgets. @default 262144
   */
  readonly initialWindowBytes?: number
  /** Bytes a receive window may grow to, from 262144 to 2^31. @default 16777216 */
  readonly maxStreamWindowBytes?: number
  /** Bytes that all receive windows of the session may grow by together. @default 67108864 */
  readonly maxSessionGrowthBytes?: number
  /** Budget shared with other sessions, so that a process has one bound. @default none */
  readonly windowBudget?: WindowBudget
  /** Open streams the peer may have; further ones are reset at once. @default 4096 */
  readonly maxInboundStreams?: number
  /** Open streams we may have; further ones throw MUX_STREAM_LIMIT. @default 4096 */
  readonly maxOutboundStreams?: number
  /**
   * Streams we may open before the peer acknowledged them, 1 to 256 (Go peers refuse more). Beyond
   * it `openChannel` throws MUX_ACK_BACKLOG and `open` waits. @default 256
   */
  readonly maxUnackedStreams?: number
  /** Streams that may wait for a `stream` listener or the iterator; further ones are reset. @default 256 */
  readonly acceptBacklog?: number
  /** Bytes queued on a stream from which `write` returns false. @default 262144 */
  readonly writeHighWaterBytes?: number
  /**
   * Bytes queued on a stream from which `write` throws MUX_QUEUE_FULL. Whoever relays a stream needs
   * more than its largest receive window, which may come whole. @default 33554432
   */
  readonly maxQueuedBytes?: number
  /** Control frames queued while the transport is stuck; one more ends the session. @default 16384 */
  readonly maxQueuedControlFrames?: number
  /** Pings answered per second; one more ends the session with MUX_PING_FLOOD. @default 100 */
  readonly maxPingsPerSecond?: number
  /**
   * Frames per second that move nothing: resets, empty frames, frames for streams that are gone or
   * refused. One more ends the session with MUX_CONTROL_FLOOD. @default 10000
   */
  readonly maxIdleFramesPerSecond?: number
  /** Silence after which the peer is pinged, ms; `Infinity` for never. @default Infinity */
  readonly keepAliveIntervalMs?: number
  /** Silence after that ping which ends the session with MUX_KEEPALIVE_TIMEOUT, ms. @default 10000 */
  readonly keepAliveTimeoutMs?: number
  /** Time the peer has to acknowledge a stream, ms, before it is reset with MUX_ACK_TIMEOUT. @default 75000 */
  readonly ackTimeoutMs?: number
  /**
   * Time without a byte from the peer, ms, on a stream that we ended and it did not, before it is
   * reset with MUX_HALF_CLOSED_TIMEOUT. @default 300000
   */
  readonly halfClosedTimeoutMs?: number
  /** Time the transport has to flush and close at the end, ms, before it is destroyed. @default 2000 */
  readonly lingerTimeoutMs?: number
  /** Time `[Symbol.asyncDispose]` waits for streams to finish, ms. @default 5000 */
  readonly disposeGraceMs?: number
  /** Source of time. @default the platform's */
  readonly clock?: Clock
}

/** Options with nothing left open. */
export type ResolvedSessionOptions = Readonly<
  Required<Omit<SessionOptions, 'onChannel' | 'onProcessed' | 'windowBudget'>>
> & {
  readonly onChannel: ((channel: Channel) => void) | undefined
  readonly onProcessed: ((answer: ChunkAnswer) => void) | undefined
  readonly windowBudget: WindowBudget | undefined
}

type NumericOption = {
  [K in keyof ResolvedSessionOptions]: ResolvedSessionOptions[K] extends number ? K : never
}[keyof ResolvedSessionOptions]

const MiB = 1_048_576

/** The default of every number. */
export const DEFAULTS: Readonly<Record<NumericOption, number>> = Object.freeze({
  initialWindowBytes: BASE_WINDOW_BYTES,
  maxStreamWindowBytes: 16 * MiB, // 300 MB/s at 50 ms
  maxSessionGrowthBytes: 64 * MiB,
  maxInboundStreams: 4096,
  maxOutboundStreams: 4096,
  maxUnackedStreams: 256, // the accept backlog of hashicorp/yamux
  acceptBacklog: 256,
  writeHighWaterBytes: 262_144, // one batch
  maxQueuedBytes: 32 * MiB, // above the largest window: who relays a stream may get all of one
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

const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms)
    timer.unref() // the transport keeps the process alive, not the timer that watches it
    return () => clearTimeout(timer)
  },
}

/**
 * Fills in defaults and checks ranges. Pure: returns a new object and keeps nothing of the old.
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
  const maxStreamWindowBytes = size(options, 'maxStreamWindowBytes', BASE_WINDOW_BYTES, 2 ** 31)
  return {
    role: options.role,
    onChannel: options.onChannel,
    onProcessed: options.onProcessed,
    windowBudget: options.windowBudget,
    maxStreamWindowBytes,
    initialWindowBytes: size(
      options,
      'initialWindowBytes',
      BASE_WINDOW_BYTES,
      maxStreamWindowBytes,
    ),
    maxSessionGrowthBytes: limit(options, 'maxSessionGrowthBytes'),
    maxInboundStreams: limit(options, 'maxInboundStreams'),
    maxOutboundStreams: limit(options, 'maxOutboundStreams'),
    maxUnackedStreams: size(options, 'maxUnackedStreams', 1, 256),
    acceptBacklog: limit(options, 'acceptBacklog'),
    writeHighWaterBytes: size(options, 'writeHighWaterBytes', 1, 2 ** 31),
    maxQueuedBytes: size(options, 'maxQueuedBytes', 1, 2 ** 31),
    maxQueuedControlFrames: size(options, 'maxQueuedControlFrames', 16, 2 ** 20),
    maxPingsPerSecond: limit(options, 'maxPingsPerSecond'),
    maxIdleFramesPerSecond: limit(options, 'maxIdleFramesPerSecond'),
    keepAliveIntervalMs: limit(options, 'keepAliveIntervalMs', 1),
    keepAliveTimeoutMs: limit(options, 'keepAliveTimeoutMs', 1),
    ackTimeoutMs: limit(options, 'ackTimeoutMs', 1),
    halfClosedTimeoutMs: limit(options, 'halfClosedTimeoutMs', 1),
    lingerTimeoutMs: size(options, 'lingerTimeoutMs', 1, 600_000),
    disposeGraceMs: size(options, 'disposeGraceMs', 0, 600_000),
    clock: options.clock ?? SYSTEM_CLOCK,
  }
}

// A number that may be Infinity for "no limit".
function limit(options: SessionOptions, name: NumericOption, min = 0): number {
  return options[name] === Infinity ? Infinity : size(options, name, min, Number.MAX_SAFE_INTEGER)
}

function size(options: SessionOptions, name: NumericOption, min: number, max: number): number {
  const value: unknown = options[name] ?? DEFAULTS[name]
  if (value === Infinity && value === DEFAULTS[name]) return value
  if (typeof value !== 'number') {
    throw new TypeError(`${name} must be a number, got ${typeof value}`)
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${name} must be an integer from ${min} to ${max}, got ${value}`)
  }
  return value
}
