import { parseListenAddress } from '@proj/config/address'

import type { BindNote, NotedListeners } from './bind-notes.ts'

/** An address whose port was taken, and the port it has instead. */
export interface MovedBind {
  /** The address as it was written. */
  readonly wanted: string
  /** The port it got. */
  readonly port: number
}

/** Finds the addresses that on-conflict=next has moved. */
export function movedBinds({ bound }: Pick<NotedListeners<BindNote>, 'bound'>): MovedBind[] {
  return bound.flatMap(({ want, port }) => {
    const address = parseListenAddress(want)
    const isMoved = address.kind === 'tcp' && address.port !== 0 && address.port !== port
    return isMoved ? [{ wanted: want, port }] : []
  })
}
