import type { PortRange } from '@proj/config/address'

import { type Limit, resolveLimit } from '../limits.ts'

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

/** Default and range of every number of {@link PublicPortOptions}. */
export const PUBLIC_PORT_LIMITS: Readonly<
  Record<'holdMs' | 'maxPerIdentity' | 'maxConnections' | 'idleTimeoutMs', Limit>
> = Object.freeze({
  // Longer than an agent takes to be restarted or to change networks.
  holdMs: { default: 60_000, min: 0, max: MAX_TIMER_MS },
  maxPerIdentity: { default: 100, min: 1, max: Infinity },
  maxConnections: { default: 20_000, min: 1, max: Infinity },
  // Databases and terminals are idle for days; TCP keep-alive finds the peers that are gone.
  idleTimeoutMs: { default: Infinity, min: 1, max: Infinity },
})

/** What a taken port leads to unless the options say otherwise. */
export const DEFAULT_ON_CONFLICT = 'wait'

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} naming the option that is out of its range.
 */
export function resolvePublicPortOptions(options: PublicPortOptions): ResolvedPublicPortOptions {
  const resolve = (name: keyof typeof PUBLIC_PORT_LIMITS): number =>
    resolveLimit(name, PUBLIC_PORT_LIMITS[name], options[name])
  const { ranges = [], onConflict = DEFAULT_ON_CONFLICT, deny = [] } = options
  return {
    ...options,
    ranges,
    onConflict,
    deny,
    holdMs: resolve('holdMs'),
    maxPerIdentity: resolve('maxPerIdentity'),
    maxConnections: resolve('maxConnections'),
    idleTimeoutMs: resolve('idleTimeoutMs'),
  }
}
