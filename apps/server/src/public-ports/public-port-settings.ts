import { accessLists, EXIT, LISTENER_SETTINGS, UserError } from '@proj/program-kit'
import { isLoopback } from '@proj/config/address'
import { bindHost, list, oneOf, portRange, type Resolved, setting } from '@proj/config'

import { hintFor } from '../auth/safe-binds.ts'
import { PROXY_PROTOCOL_FROM } from '../proxy-protocol.ts'
import { perSource } from '../connection-budget.ts'
import { durationLimit, integerLimit } from '../limits.ts'
import {
  DEFAULT_ON_CONFLICT,
  PUBLIC_PORT_LIMITS,
  type PublicPortOptions,
} from './public-port-options.ts'

const DAY_MS = 86_400_000

/** Settings of the group `public_ports`. */
export const PUBLIC_PORT_SETTINGS = {
  range: setting(list(portRange(), { maxItems: 64 }), {
    default: [],
    reload: 'live',
    description:
      'Ports that endpoints may ask for, such as 9900-9999; without any, no endpoint gets one.',
  }),
  bindHost: setting(list(bindHost(), { maxItems: 16 }), {
    description:
      'Where they are opened; unset: every address, or loopback only where the proxy port is on loopback or agents need no credentials.',
  }),
  publicHost: setting(bindHost(), {
    reload: 'live',
    description: 'Name or address in their URLs; unset: the one an agent has dialed.',
  }),
  onConflict: setting(oneOf(['wait', 'fail', 'next']), {
    default: DEFAULT_ON_CONFLICT,
    reload: 'live',
    description:
      'When a port is taken: the agent asks again, gives up, or gets the next free one of the range.',
  }),
  holdMs: durationLimit(
    // What people write; a timer of Node takes a little more.
    { ...PUBLIC_PORT_LIMITS.holdMs, max: 24 * DAY_MS },
    {
      reload: 'live',
      description: 'How long a port is held for its owner after the last agent has gone.',
    },
  ),
  maxPerIdentity: integerLimit(PUBLIC_PORT_LIMITS.maxPerIdentity, {
    reload: 'live',
    description: 'Ports one identity may have.',
  }),
  maxConnections: integerLimit(PUBLIC_PORT_LIMITS.maxConnections, {
    reload: 'live',
    description: 'Visitors of all these ports at once; one more is reset.',
  }),
  maxConnectionsPerSource: integerLimit(PUBLIC_PORT_LIMITS.maxConnectionsPerSource, {
    reload: 'live',
    description: 'Of these, most of one address, or /64 of IPv6; at most half of them.',
  }),
  // Deadlines are looked at every 10 ms at most.
  idleTimeoutMs: durationLimit(
    { ...PUBLIC_PORT_LIMITS.idleTimeoutMs, min: 10 },
    {
      reload: 'live',
      description: 'Without a byte in either direction; then the connection is reset.',
    },
  ),
  allow: LISTENER_SETTINGS.allow,
  deny: LISTENER_SETTINGS.deny,
  proxyProtocolFrom: PROXY_PROTOCOL_FROM,
}

/** The settings as the ports take them. */
export function publicPortOptions(
  settings: Resolved<typeof PUBLIC_PORT_SETTINGS>,
): PublicPortOptions {
  const { range, bindHost: hosts, allow: _, deny: __, proxyProtocolFrom: ___, ...rest } = settings
  return {
    ...rest,
    ...accessLists(settings),
    maxConnectionsPerSource: perSource(settings),
    ranges: range,
    hosts,
  }
}

/** What decides where public ports may be opened. */
export interface PortHosts {
  /** Hosts an operator chose; undefined: none. */
  readonly hosts: readonly string[] | undefined
  /** Whether there is a list of addresses that may connect. */
  readonly hasAllowList: boolean
  /** Whether agents have to authenticate: it is their services that visitors reach. */
  readonly agentsAreKnown: boolean
  /** Whether the operator allows ports that are open to other machines without authentication. */
  readonly insecureOpen: boolean
}

/**
 * Decides on which hosts public ports are opened. Where agents do not authenticate, that is loopback, as
 * for the other ports.
 *
 * @returns undefined: on the hosts of the proxy port.
 * @throws {UserError} exit code 2 for a chosen host that other machines reach and nothing protects.
 */
export function safePortHosts({
  hosts,
  hasAllowList,
  agentsAreKnown,
  insecureOpen,
}: PortHosts): readonly string[] | undefined {
  if (hasAllowList || agentsAreKnown || insecureOpen) return hosts
  const reachable = hosts?.find((host) => !isLoopback(host))
  if (reachable === undefined) return hosts ?? ['localhost']
  throw new UserError(
    `public_ports.bind_host: other machines can connect to ${reachable}, and agents need no credentials`,
    { exitCode: EXIT.usage, hint: hintFor('upstream') },
  )
}
