import { randomBytes } from 'node:crypto'

import { listenUnix, type UnixListener } from '@proj/portcheck'
import type { Logger } from '@proj/tunnel'

import type { AgentStatus } from '@proj/program-kit'
import { createAgentAdmin } from '../admin/admin.ts'
import { controlFolder } from './control-folder.ts'
import { removeAbandoned } from './running-agents.ts'

/** Most connections at once; one more is closed. */
const MAX_CONNECTIONS = 16

/**
 * Serves the admin pages on a unix socket of this process, for `adit status`. Without the socket the agent
 * works all the same: it logs a warning.
 */
export async function openControlSocket(
  env: Readonly<Record<string, string | undefined>>,
  status: () => Promise<AgentStatus>,
  logger: Logger,
): Promise<AsyncDisposable> {
  const server = createAgentAdmin(status, undefined)
  let listener: UnixListener | undefined
  try {
    const folder = controlFolder(env)
    await removeAbandoned(folder)
    // Containers that share the folder may have equal process ids.
    const path = folder.path(`${process.pid}-${randomBytes(3).toString('hex')}`)
    const opened = await listenUnix(path, {
      onConnection: (socket) => {
        if (opened.open > MAX_CONNECTIONS) socket.destroy()
        else server.emit('connection', socket)
      },
    })
    listener = opened
    server.emit('listening') // starts its watch for slow clients; portcheck accepts for it
  } catch (error) {
    logger.warn({ err: error }, 'adit status will not show this process')
  }
  return {
    [Symbol.asyncDispose]: async () => {
      server.close()
      await listener?.[Symbol.asyncDispose]()
    },
  }
}
