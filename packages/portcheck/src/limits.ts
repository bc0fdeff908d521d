import { inspect } from 'node:util'

/** A number that can be set: its default and its range, both ends included. */
export interface PortcheckLimit {
  /** Value without the option. */
  readonly default: number
  /** Smallest value. */
  readonly min: number
  /** Largest value; where it is Infinity, Infinity means no limit. */
  readonly max: number
  /** Whether the value must be an integer. */
  readonly integer: boolean
}

/** Default and range of every option that is a number, by its name. The README prints this table. */
export const PORTCHECK_LIMITS: Readonly<
  Record<
    | 'backlog'
    | 'maxEarlyConnections'
    | 'earlyTimeoutMs'
    | 'waitMs'
    | 'maxNext'
    | 'timeoutMs'
    | 'proxyHeaderTimeoutMs'
    | 'maxProxyHeaders',
    PortcheckLimit
  >
> = Object.freeze({
  // net.core.somaxconn of Linux, which lowers more than that. The 511 of Node are fewer than a burst of
  // clients: the kernel drops what does not fit, and each of them tries again after a second.
  backlog: { default: 4096, min: 1, max: 65_535, integer: true },
  // A server adopts the claim within milliseconds; until then there are rarely more clients than this.
  maxEarlyConnections: { default: 64, min: 0, max: 65_536, integer: true },
  earlyTimeoutMs: { default: 10_000, min: 1, max: 600_000, integer: true },
  waitMs: { default: 10_000, min: 0, max: Infinity, integer: false },
  maxNext: { default: 20, min: 1, max: 65_535, integer: true },
  // Much longer than a loopback connection takes, and short for a person.
  timeoutMs: { default: 400, min: 1, max: 60_000, integer: false },
  // Load balancers send it with the first segment; a lost one is sent again after a second, then after three.
  proxyHeaderTimeoutMs: { default: 5_000, min: 1, max: 600_000, integer: false },
  maxProxyHeaders: { default: 1024, min: 1, max: 65_536, integer: true },
})

/**
 * Returns the value of an option, or its default.
 * @throws {RangeError} naming the option and the value when it is out of range
 */
export function limitOf(name: keyof typeof PORTCHECK_LIMITS, value: number | undefined): number {
  const { default: usual, min, max, integer } = PORTCHECK_LIMITS[name]
  const chosen = value ?? usual
  if (chosen >= min && chosen <= max && (!integer || Number.isInteger(chosen))) return chosen
  const range = max === Infinity ? `${min} or more` : `from ${min} to ${max}`
  const kind = integer ? 'an integer ' : ''
  throw new RangeError(`${name} must be ${kind}${range}, got ${inspect(chosen)}`)
}
