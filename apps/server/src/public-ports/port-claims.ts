import type { Endpoint } from '@proj/tunnel/server'

/** The owner of a public port: one endpoint of one identity has one port. */
export interface PortOwner {
  readonly endpoint: Endpoint
  /** Identity of the agents that serve it. */
  readonly identity: string
}

/** An owner as the key of a map. */
export function ownerKey({ endpoint, identity }: PortOwner): string {
  return JSON.stringify([endpoint.tenant, identity, endpoint.name])
}

/** A port that was claimed for its owner beyond this process. */
export interface PortClaim {
  /** Gives it back; a second call does nothing. */
  release(): void
}

/** Decides about ports beyond this process: each has one owner on all nodes of a cluster. */
export interface PortClaims {
  /**
   * Claims a port. An owner may have it on several nodes.
   *
   * @returns `taken`: it has another owner; `unavailable`: that cannot be decided now.
   */
  take(number: number, owner: PortOwner): Promise<PortClaim | 'taken' | 'unavailable'>
}
