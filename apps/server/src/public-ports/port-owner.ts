import type { Endpoint } from '@proj/tunnel/server'

/** Whose a public port is: one endpoint of one identity has one port. */
export interface PortOwner {
  /** The endpoint. */
  readonly endpoint: Endpoint
  /** Who serves it. */
  readonly identity: string
}

/** An owner as the key of a map. */
export function ownerKey({ endpoint, identity }: PortOwner): string {
  return JSON.stringify([endpoint.tenant, identity, endpoint.name])
}
