import type { PortRange } from '@proj/config/address'

import type { ProxyProtocolOptions } from '@proj/portcheck'

import { type Limit, MAX_TIMER_MS, resolveLimit } from '../limits.ts'

/** Which ports agents can get, and how they are opened. */
export interface PublicPortOptions {
  /** Ports that agents can get. Default: none. */
  readonly ranges?: readonly PortRange[]
  /**
   * Hosts every port is opened on, as portcheck takes them. Default: every address, or loopback only where
   * the proxy port is on loopback only.
   */
  readonly hosts?: readonly string[] | undefined
  /** Name or address in the URLs of the ports. Default: agents use the one they dialed. */
  readonly publicHost?: string | undefined
  /**
   * What happens when a port is taken: with `wait` the agent asks again, with `fail` it gives up, with `next`
   * it gets the next free port of the ranges. Default `wait`.
   */
  readonly onConflict?: 'wait' | 'fail' | 'next'
  /**
   * How long a port is held for its identity after the last agent has gone, ms, 0 to 2 147 483 647.
   * Default 60 000.
   */
  readonly holdMs?: number
  /** Ports one identity may have, held ones included, 1 or more. Default 100. */
  readonly maxPerIdentity?: number
  /** Visitors of all ports at once, 1 or more; one more is reset. Default 20 000. */
  readonly maxConnections?: number
  /** Of these, most of one source, an IPv4 address or a /64 of IPv6; 1 or more. Default 10 000. */
  readonly maxConnectionsPerSource?: number
  /** Without a byte in either direction, ms, 1 or more; then the connection is reset. Default Infinity. */
  readonly idleTimeoutMs?: number
  /** Addresses that may connect. Default: all. */
  readonly allow?: readonly string[] | undefined
  /** Addresses that may not connect, also when allowed. Default: none. */
  readonly deny?: readonly string[]
  /** Load balancers in front of the ports, of which only the start decides. Default: none. */
  readonly proxyProtocol?: ProxyProtocolOptions | undefined
}

/** Every option with its value. */
export type ResolvedPublicPortOptions = Required<Omit<PublicPortOptions, Unset>> &
  Pick<PublicPortOptions, Unset>

/** Options that may go without a value. */
type Unset = 'allow' | 'hosts' | 'publicHost' | 'proxyProtocol'

/** Default and range of every number of {@link PublicPortOptions}. */
export const PUBLIC_PORT_LIMITS: Readonly<
  Record<
    'holdMs' | 'maxPerIdentity' | 'maxConnections' | 'maxConnectionsPerSource' | 'idleTimeoutMs',
    Limit
  >
> = Object.freeze({
  // Longer than an agent takes to be restarted or to change networks.
  holdMs: { default: 60_000, min: 0, max: MAX_TIMER_MS },
  maxPerIdentity: { default: 100, min: 1, max: Infinity },
  maxConnections: { default: 20_000, min: 1, max: Infinity },
  maxConnectionsPerSource: { default: 10_000, min: 1, max: Infinity },
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
    maxConnectionsPerSource: resolve('maxConnectionsPerSource'),
    idleTimeoutMs: resolve('idleTimeoutMs'),
  }
}
