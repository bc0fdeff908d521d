import type { PortRange } from '@proj/config/address'

/** What is given out, to whom, and how. */
export interface PublicPortOptions {
  /** Ports that may be given out. Default: none, so that nobody gets any. */
  readonly ranges?: readonly PortRange[]
  /**
   * Hosts every port is opened on, as portcheck takes them. Default: every address, and the loopbacks alone
   * on a server whose visitors come by nothing else.
   */
  readonly hosts?: readonly string[] | undefined
  /** Name or address in the URLs of the ports. Default: agents use the one they dialed. */
  readonly publicHost?: string | undefined
  /**
   * What a taken port leads to: `wait` has the agent ask again, `fail` refuses it for good, `next` gives
   * it the next free one of the ranges. Default `wait`.
   */
  readonly onConflict?: 'wait' | 'fail' | 'next'
  /**
   * How long a port is kept for its identity after the last agent has gone, ms, 0 to 2 147 483 647.
   * Default 60 000.
   */
  readonly holdMs?: number
  /** Ports one identity may have, those that are kept for it included, 1 or more. Default 100. */
  readonly maxPerIdentity?: number
  /** Visitors of all ports at once, 1 or more; one more is reset. Default 20 000. */
  readonly maxConnections?: number
  /** Without a byte in either direction, ms, 1 or more; then the connection is reset. Default Infinity. */
  readonly idleTimeoutMs?: number
  /** Who may connect; absent: everybody. */
  readonly allow?: readonly string[] | undefined
  /** Who may not connect, also when allowed. Default: nobody. */
  readonly deny?: readonly string[]
}

/** Every option with its value. */
export type ResolvedPublicPortOptions = Required<Omit<PublicPortOptions, Unset>> &
  Pick<PublicPortOptions, Unset>

/** Options that may go without a value. */
type Unset = 'allow' | 'hosts' | 'publicHost'

/** Longest delay a timer of Node takes, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** The defaults. */
export const PUBLIC_PORT_DEFAULTS: Readonly<Omit<ResolvedPublicPortOptions, Unset>> = Object.freeze(
  {
    ranges: [],
    onConflict: 'wait',
    // Longer than an agent takes to be restarted or to change networks.
    holdMs: 60_000,
    maxPerIdentity: 100,
    maxConnections: 20_000,
    // Databases and terminals rest for days; TCP keep-alive finds the peers that are gone.
    idleTimeoutMs: Infinity,
    deny: [],
  },
)

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} naming the option that is out of its range.
 */
export function resolvePublicPortOptions(options: PublicPortOptions): ResolvedPublicPortOptions {
  const resolved = { ...PUBLIC_PORT_DEFAULTS, ...options }
  const check = (name: keyof typeof LIMITS): void => {
    const [least, most] = LIMITS[name]
    const value = resolved[name]
    if (value >= least && value <= most) return
    throw new RangeError(`${name} must be from ${least} to ${most}, not ${value}`)
  }
  check('holdMs')
  check('maxPerIdentity')
  check('maxConnections')
  check('idleTimeoutMs')
  return resolved
}

const LIMITS = {
  holdMs: [0, MAX_TIMER_MS],
  maxPerIdentity: [1, Infinity],
  maxConnections: [1, Infinity],
  idleTimeoutMs: [1, Infinity],
} as const
