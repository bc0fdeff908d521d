import type { PortOwner } from './port-owner.ts'

/** Ports that are held with reserved names. Reading is immediate. */
export interface PortReservations {
  /** Whose reserved name has this port; undefined: nobody's. */
  ownerOf(port: number): PortOwner | undefined
  /** The port of a name that is reserved for this owner; undefined: none, or not reserved. */
  portOf(owner: PortOwner): number | undefined
  /** Keeps a port with the name, if the name is reserved for this owner. */
  keep(owner: PortOwner, port: number): void
}

/** For a server without reserved names. */
export const noPortReservations: PortReservations = Object.freeze({
  ownerOf: () => undefined,
  portOf: () => undefined,
  keep: () => {},
})
