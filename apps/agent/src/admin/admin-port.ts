import { accessLists, conflictPolicy, hostNames, movedBinds } from '@proj/program-kit'
import { listen } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'

import type { AgentStatus } from '@proj/program-kit'
import { createAgentAdmin } from './admin.ts'
import type { AgentSettings } from '../settings.ts'

/**
 * Opens the admin port, with the same pages as the control socket. Without an address there is none.
 *
 * @throws {PortcheckError} when an address cannot be bound, with its holder.
 */
export async function openAdminPort(
  settings: AgentSettings['admin'],
  status: () => Promise<AgentStatus>,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<AsyncDisposable> {
  const { bindAddr } = settings
  if (bindAddr.length === 0) return { [Symbol.asyncDispose]: async () => {} }
  const server = createAgentAdmin(status, hostNames(bindAddr))
  const listeners = await listen(bindAddr, {
    server,
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
    [Symbol.asyncDispose]: async () => {
      server.close()
      await listeners[Symbol.asyncDispose]()
    },
  }
}
