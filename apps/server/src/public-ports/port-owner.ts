/** Whose a public port is: one endpoint of one identity has one port. */
export interface PortOwner {
  /** Tenant of the endpoint. */
  readonly tenant: string
  /** Who serves it. */
  readonly identity: string
  /** Its name. */
  readonly endpoint: string
}

/** An owner as the key of a map. */
export function ownerKey({ tenant, identity, endpoint }: PortOwner): string {
  return JSON.stringify([tenant, identity, endpoint])
}
