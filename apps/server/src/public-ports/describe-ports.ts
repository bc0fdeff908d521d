import type { PublicPorts } from './public-ports.ts'

/** A public port on the page `/status/ports`. */
export interface PortDescription {
  /** The port. */
  readonly port: number
  /** The endpoint its visitors reach. */
  readonly endpoint: string
  /** Tenant of the endpoint; absent on servers without tenants. */
  readonly tenant?: string
  /** Whose it is. */
  readonly identity: string
  /** ISO time. */
  readonly since: string
  /** Until when it is kept while no agent serves it, ISO time. */
  readonly heldUntil?: string
  /** Agent sessions that serve it. */
  readonly sessions: number
  /** The sockets. */
  readonly addresses: readonly string[]
  /** Visitors now. */
  readonly visitors: number
  /** Visitors since it was claimed. */
  readonly connections: number
  /** Visitors the access lists refused. */
  readonly refused: number
  /** From visitors. */
  readonly bytesIn: number
  /** To visitors. */
  readonly bytesOut: number
}

/** Describes every public port that is claimed, in order. */
export function describePorts({ ports, visitors }: PublicPorts): PortDescription[] {
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
