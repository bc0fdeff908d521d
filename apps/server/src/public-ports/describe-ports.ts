import type { PortStatus } from '@proj/program-kit'

import type { PublicPorts } from './public-ports.ts'

/** Describes every public port that is claimed, in order. */
export function describePorts({ ports, visitors }: PublicPorts): PortStatus[] {
  return ports.map((port) => {
    const { number, owner, since, heldUntil, sessions, addresses, refused } = port
    const { open, connections, bytesIn, bytesOut } = visitors.counts(port)
    return {
      port: number,
      endpoint: owner.endpoint.name,
      ...(owner.endpoint.tenant !== '' && { tenant: owner.endpoint.tenant }),
      identity: owner.identity,
      since: new Date(since).toISOString(),
      ...(heldUntil !== undefined && { heldUntil: new Date(heldUntil).toISOString() }),
      sessions: sessions.length,
      addresses,
      visitors: open,
      connections,
      refused,
      bytesIn,
      bytesOut,
    }
  })
}
