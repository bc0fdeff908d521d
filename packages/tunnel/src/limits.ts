/** Default for the memory that the windows of all sessions of an acceptor may grow by. */
export const WINDOW_BUDGET_BYTES: number = 256 * 1024 * 1024

/** A number that can be set: its default and its range, both ends included. */
export interface TunnelLimit {
  /** Used when the option is absent. */
  readonly default: number
  readonly min: number
  /** Largest value; where it is Infinity, Infinity means no limit. */
  readonly max: number
}

/** Longest delay a timer of Node takes, ms. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/** Every number that can be set, by the name of its option. The README prints this table. */
export const TUNNEL_LIMITS: Readonly<
  Record<
    | 'absentWaitMs'
    | 'busyWaitMs'
    | 'connections'
    | 'drainRetryAfterMs'
    | 'helloTimeoutMs'
    | 'maxEndpointsPerSession'
    | 'maxSessions'
    | 'maxWaiting'
    | 'nameRetryAfterMs'
    | 'pingIntervalMs'
    | 'probeTimeoutMs'
    | 'spreadIntervalMs'
    | 'startWaitMs',
    TunnelLimit
  >
> = Object.freeze({
  // Agents connect again within 2 s in the first half minute, see LIVED_MS and `lossMaxMs`.
  absentWaitMs: { default: 5_000, min: 0, max: 60_000 },
  // The 2 s in which agents connect again, and what they and this process need for a start under load.
  startWaitMs: { default: 7_000, min: 0, max: 60_000 },
  // As long as it takes to notice that an agent is gone.
  busyWaitMs: { default: 15_000, min: 0, max: 60_000 },
  connections: { default: 2, min: 1, max: 16 },
  // One round trip and a slow start.
  helloTimeoutMs: { default: 10_000, min: 1, max: MAX_TIMER_MS },
  // More often would soon be more than a peer takes: see maxIdleFramesPerSecond of the WebSocket.
  pingIntervalMs: { default: 5_000, min: 100, max: MAX_TIMER_MS },
  maxSessions: { default: 10_000, min: 1, max: Infinity },
  // A waiting visitor holds a socket and what its kernel has received.
  maxWaiting: { default: 4096, min: 0, max: Infinity },
  maxEndpointsPerSession: { default: 1000, min: 1, max: Infinity },
  // Two lost packets in a row are repaired within 1.4 s, and visitors do not wait for this.
  probeTimeoutMs: { default: 2_000, min: 50, max: 60_000 },
  // A server that is alone gets one handshake more per agent, then fewer and fewer.
  spreadIntervalMs: { default: 5_000, min: 100, max: Infinity },
  // A holder that is gone is noticed within 12.5 s, by the pings of its connection.
  nameRetryAfterMs: { default: 3_000, min: 100, max: 300_000 },
  // An agent goes on serving while it waits; a delay only helps a next server that is overloaded.
  drainRetryAfterMs: { default: 0, min: 0, max: 300_000 },
})

/**
 * The value of an option, or its default.
 *
 * @throws {RangeError} naming the option and the value when it is out of range.
 */
export function limit(name: keyof typeof TUNNEL_LIMITS, value: number | undefined): number {
  const { default: usual, min, max } = TUNNEL_LIMITS[name]
  const chosen = value ?? usual
  const whole = Number.isInteger(chosen) || (chosen === Infinity && max === Infinity)
  if (!whole || chosen < min || chosen > max) {
    throw new RangeError(`${name} must be a whole number from ${min} to ${max}, got ${chosen}`)
  }
  return chosen
}
