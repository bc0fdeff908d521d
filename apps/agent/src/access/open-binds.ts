import { conflictPolicy } from '@proj/program-kit'
import type { ListenAddress } from '@proj/config/address'
import { type InheritedSockets, listenTogether } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'

import type { Access } from './access.ts'
import type { HandedUnixSockets } from './handed-unix-sockets.ts'
import type { AccessSettings } from './access-settings.ts'
import { LocalBind, mayPass } from './local-bind.ts'

/** An address to open. */
export interface WantedBind {
  readonly address: ListenAddress
  /** The access that gets its connections. */
  readonly access: Access
  /** The access as it is configured. */
  readonly setting: AccessSettings
}

/**
 * Opens local addresses, all or none. None is served before all are bound, except those with on_conflict
 * `retry`, which may be bound later.
 *
 * @param how.inherited - sockets of another process: those at a wanted address are used, and not opened.
 * @param how.handedUnix - the same for unix sockets.
 * @param how.signal - ends the wait for an address that is taken.
 * @throws {PortcheckError} when an address cannot be opened, with its holder.
 */
export async function openBinds(
  wanted: readonly WantedBind[],
  {
    inherited,
    handedUnix,
    logger,
    signal,
  }: {
    readonly inherited: InheritedSockets
    readonly handedUnix: HandedUnixSockets
    readonly logger: Logger
    readonly signal: AbortSignal
  },
): Promise<LocalBind[]> {
  const binds = wanted.map(
    ({ address, access, setting }) => new LocalBind(address, access, setting, logger),
  )
  try {
    for (const bind of binds) {
      if (bind.address.kind === 'unix') await bind.openUnix(bind.address.path, handedUnix, signal)
    }
    const tcp = binds.flatMap((bind, index) => {
      const { setting } = wanted[index] ?? {}
      return bind.address.kind === 'unix' || setting === undefined ? [] : [{ bind, setting }]
    })
    const opened = await listenTogether(
      tcp.map(({ bind, setting }) => ({
        at: bind.address,
        signal,
        inherited,
        ...bind.options,
        ...policyOf(setting, logger),
      })),
    )
    for (const listeners of opened) {
      const lasting = listeners.failed.find(({ error }) => !mayPass(error))
      if (lasting === undefined) continue
      for (const one of opened) one.destroy()
      throw lasting.error
    }
    for (const [index, listeners] of opened.entries()) tcp[index]?.bind.adopt(listeners)
    return binds
  } catch (error) {
    for (const bind of binds) bind.destroy()
    throw error
  }
}

function policyOf(setting: AccessSettings, logger: Logger) {
  const { onConflict, endpoint, waitMs } = setting
  if (onConflict === 'retry') return { require: 'none', conflict: 'fail' } as const
  return conflictPolicy({ onConflict, waitMs }, { listener: endpoint, logger })
}
