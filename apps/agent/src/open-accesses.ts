import type { Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'

import { accessLists, conflictPolicy, movedBinds } from '@proj/console'
import { type Listeners, listenTogether } from '@proj/portcheck'
import type { Consumer, Logger } from '@proj/tunnel'

import { Access } from './access.ts'
import type { AgentSettings } from './settings.ts'

/** An access as it is configured. */
export type AccessSettings = AgentSettings['accesses'][number]

/** An access, the settings it was made from, and what is bound for it. */
export interface RunningAccess {
  readonly setting: AccessSettings
  readonly made: Access
  readonly listeners: Listeners
}

/** What accesses need. */
export interface AccessSurroundings {
  /** The way to the endpoints. */
  readonly consumer: Consumer
  readonly logger: Logger
  /** Ends the wait for a port that is taken. */
  readonly signal: AbortSignal
}

/**
 * Opens accesses, all or none: none is served before every address is held.
 *
 * @throws {PortcheckError} when an address cannot be had, with its holder.
 */
export async function openAccesses(
  settings: readonly AccessSettings[],
  { consumer, logger, signal }: AccessSurroundings,
): Promise<RunningAccess[]> {
  const accesses = settings.map((setting) => ({
    setting,
    made: new Access(setting.endpoint, consumer, logger),
  }))
  const opened = await listenTogether(
    accesses.map(({ setting, made }) => ({
      at: setting.bindAddr,
      scheme: 'tcp',
      ...conflictPolicy(setting, { listener: setting.endpoint, logger }),
      ...accessLists(setting),
      signal,
      onConnection: (socket: Socket) => made.accept(socket),
    })),
  )
  return accesses.flatMap((access, index) => {
    const listeners = opened[index]
    if (listeners === undefined) return []
    for (const moved of movedBinds(listeners)) {
      const fields = { listener: access.setting.endpoint, ...moved }
      logger.warn(fields, 'port taken, listening on the next free one')
    }
    return [{ ...access, listeners }]
  })
}

/** Whether an access can go on with other settings, without giving its port up. */
export function hasSamePlace(one: AccessSettings, other: AccessSettings): boolean {
  return one.endpoint === other.endpoint && isDeepStrictEqual(one.bindAddr, other.bindAddr)
}
