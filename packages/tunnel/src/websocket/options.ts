import { TLSSocket } from 'node:tls'
import type { Duplex } from 'node:stream'

/** How a WebSocketPipe behaves. */
export interface WebSocketPipeOptions {
  /** Who sent the opening handshake: a client masks what it sends, a server does not. */
  readonly role: 'client' | 'server'
  /** Bytes that came behind the handshake and belong to the first frames. Default: none. */
  readonly head?: Buffer
  /**
   * The masking key of a client: `random` as RFC 6455 section 10.3 wants it, or `zero`, which is
   * legal on the wire and costs nothing. Masking keeps bytes that an attacker chose from looking
   * like HTTP to a proxy on the way; TLS hides them already. A server ignores this.
   * @default 'zero' over a TLS socket, otherwise 'random'
   */
  readonly mask?: 'random' | 'zero'
  /**
   * Whether `end()` sends a Close frame and waits for the peer's. Without it `end()` closes the
   * sending side of TCP, as Piko does. A mux on top has its own end; for bare bytes only a Close
   * frame tells the peer that nothing was cut off.
   * @default false
   */
  readonly closeFrame?: boolean
  /**
   * Time between two pings, ms, 1 to 2147483647, or Infinity for none.
   * @default 5000
   */
  readonly pingIntervalMs?: number
  /**
   * Unanswered pings, 1 or more, after which the peer is taken for dead: the pipe is destroyed with
   * WEBSOCKET_PEER_SILENT once nothing at all has come for this many intervals and a half. Infinity
   * for never: for bare bytes, whose reader may pause longer than that and then answers no ping.
   * @default 2
   */
  readonly missedPongs?: number
  /**
   * After `end()` or a Close frame: how long the peer may be silent, ms, 1 to 2147483647, before
   * the pipe is destroyed with WEBSOCKET_CLOSE_TIMEOUT.
   * @default 10000
   */
  readonly closeTimeoutMs?: number
  /**
   * Largest payload of a message sent, bytes, 1 to 2147483647. More leaves as several messages.
   * @default 1048576
   */
  readonly maxMessageBytes?: number
  /**
   * Largest payload a received frame may announce, bytes, 125 or more, or Infinity. Above it the
   * pipe ends with WEBSOCKET_FRAME_TOO_LARGE. Nothing is buffered for a frame, so this guards
   * against nonsense, not memory. Messages of any length may come in any number of frames.
   * @default 16777216
   */
  readonly maxFrameBytes?: number
  /**
   * Control frames and empty frames accepted per second, 1 or more, or Infinity: they cost work and
   * move no bytes. Above it the pipe ends with WEBSOCKET_FRAME_RATE_EXCEEDED. The peer's pings and
   * its answers to ours count, so intervals below some 25 ms need more.
   * @default 100
   */
  readonly maxIdleFramesPerSecond?: number
  /**
   * Received bytes held for a slow reader before the socket is paused. What the socket had already
   * read comes on top, 64 KiB for TCP.
   * @default 262144
   */
  readonly readBufferBytes?: number
  /**
   * Written bytes held before `write()` returns false. Nothing is held back by the socket: while
   * one batch is with it, the next collects here.
   * @default 262144
   */
  readonly writeBufferBytes?: number
}

/** The options with every default filled in. */
export type ResolvedWebSocketPipeOptions = Required<WebSocketPipeOptions>

/** The options whose default does not depend on the socket. */
export type WebSocketPipeDefaults = Omit<ResolvedWebSocketPipeOptions, 'role' | 'head' | 'mask'>

/** Defaults of every option that has one which does not depend on the socket. */
export const WEBSOCKET_DEFAULTS: WebSocketPipeDefaults = Object.freeze({
  closeFrame: false,
  pingIntervalMs: 5_000,
  missedPongs: 2,
  closeTimeoutMs: 10_000,
  maxMessageBytes: 1024 * 1024,
  maxFrameBytes: 16 * 1024 * 1024,
  maxIdleFramesPerSecond: 100,
  readBufferBytes: 256 * 1024,
  writeBufferBytes: 256 * 1024,
})

/** The longest delay a timer of Node takes; beyond it the timer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Fills in the defaults and checks every value.
 * @throws {TypeError} when `role` or `mask` is not one of its words.
 * @throws {RangeError} naming the option that is out of range.
 */
export function resolveWebSocketPipeOptions(
  socket: Duplex,
  options: WebSocketPipeOptions,
): ResolvedWebSocketPipeOptions {
  const defaults = WEBSOCKET_DEFAULTS
  const { role, mask = socket instanceof TLSSocket ? 'zero' : 'random' } = options
  if (role !== 'client' && role !== 'server') {
    throw new TypeError(`role must be 'client' or 'server', got ${String(role)}`)
  }
  if (mask !== 'random' && mask !== 'zero') {
    throw new TypeError(`mask must be 'random' or 'zero', got ${String(mask)}`)
  }
  const count = (name: CountOption, min: number, max: number): number => {
    const value = options[name] ?? defaults[name]
    const whole = Number.isSafeInteger(value) && value >= min && value <= max
    if (whole || (value === Infinity && UNLIMITED.has(name))) return value
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, got ${value}`)
  }
  return {
    role,
    mask,
    head: options.head ?? Buffer.alloc(0),
    closeFrame: options.closeFrame ?? defaults.closeFrame,
    pingIntervalMs: count('pingIntervalMs', 1, MAX_TIMER_MS),
    missedPongs: count('missedPongs', 1, Number.MAX_SAFE_INTEGER),
    closeTimeoutMs: count('closeTimeoutMs', 1, MAX_TIMER_MS),
    maxMessageBytes: count('maxMessageBytes', 1, 2 ** 31 - 1),
    maxFrameBytes: count('maxFrameBytes', 125, Number.MAX_SAFE_INTEGER),
    maxIdleFramesPerSecond: count('maxIdleFramesPerSecond', 1, Number.MAX_SAFE_INTEGER),
    readBufferBytes: count('readBufferBytes', 1, 2 ** 31 - 1),
    writeBufferBytes: count('writeBufferBytes', 1, 2 ** 31 - 1),
  }
}

type CountOption = Exclude<keyof WebSocketPipeDefaults, 'closeFrame'>

/** Options whose "no limit" is Infinity. */
const UNLIMITED: ReadonlySet<CountOption> = new Set<CountOption>([
  'pingIntervalMs',
  'missedPongs',
  'maxFrameBytes',
  'maxIdleFramesPerSecond',
])
