import { accessLists, conflictPolicy, hostNames, movedBinds } from '@proj/program-kit'
import { type InheritedSocket, type InheritedSockets, listen } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'

import type { AgentStatus } from '@proj/program-kit'
import { createAgentAdmin } from './admin.ts'
import type { AgentSettings } from '../settings.ts'

/** Name of its sockets when another process takes them over, or a service manager passes them. */
const NAME = 'admin'

/** The admin port, if there is one. */
export interface AdminPort extends AsyncDisposable {
  /** Its listening sockets, for a process that takes them over. */
  descriptors(): InheritedSocket[]
  /** Closes the port; requests that run are answered. */
  close(): void
}

/**
 * Opens the admin port, with the same pages as the control socket. Without an address there is none.
 *
 * @throws {PortcheckError} when an address cannot be bound, with its holder.
 */
export async function openAdminPort(
  settings: AgentSettings['admin'],
  status: () => Promise<AgentStatus>,
  {
    inherited,
    logger,
    signal,
  }: {
    readonly inherited: InheritedSockets
    readonly logger: Logger
    readonly signal: AbortSignal
  },
): Promise<AdminPort> {
  const { bindAddr } = settings
  if (bindAddr.length === 0) {
    return { descriptors: () => [], close: () => {}, [Symbol.asyncDispose]: async () => {} }
  }
  const server = createAgentAdmin(status, hostNames(bindAddr))
  const listeners = await listen(bindAddr, {
    server,
    name: NAME,
    inherited,
    ...conflictPolicy(settings, { listener: 'admin', logger }),
    ...accessLists(settings),
    signal,
  })
  for (const moved of movedBinds(listeners)) {
    logger.warn({ listener: 'admin', ...moved }, 'port taken, listening on the next free one')
  }
  const addresses = listeners.bound.flatMap(({ sockets }) => sockets.map(({ address }) => address))
  logger.info({ addresses: addresses.join(' ') }, 'admin port open')
  return {
    descriptors: () => listeners.descriptors(NAME),
    close: () => void listeners.close(),
    [Symbol.asyncDispose]: async () => {
      server.close()
      await listeners[Symbol.asyncDispose]()
    },
  }
}
