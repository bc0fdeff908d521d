import { randomBytes } from 'node:crypto'

import { listenUnix, type UnixListener } from '@proj/portcheck'
import { jsonLine } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import type { AdminAnswer, AdminCommand, AgentStatus } from '@proj/program-kit'
import { createAgentAdmin } from '../admin/admin.ts'
import { controlFolder } from './control-folder.ts'
import { removeAbandoned } from './running-agents.ts'
import type { UpgradeOutcome } from '../upgrade.ts'

/** What the socket serves. */
export interface ControlParts {
  readonly status: () => Promise<AgentStatus>
  /** Replaces this process. */
  readonly upgrade: () => Promise<UpgradeOutcome>
  /** Adds and removes listeners, by path. */
  readonly listenerCommands: ReadonlyMap<string, AdminCommand>
  /** The address that opens the inspector; undefined: there is none. */
  readonly inspectUrl: () => string | undefined
  readonly logger: Logger
}

/** Most connections at once; one more is closed. */
const MAX_CONNECTIONS = 16

/** Path of the command that replaces the process. */
export const UPGRADE_PATH = '/upgrade'

/** Path of the command that tells the address of the inspector: it has a token, which no page shows. */
export const INSPECT_PATH = '/inspect'

/**
 * Serves the admin pages on a unix socket of this process, for `adit status`, and the commands of
 * `adit upgrade`, `adit add` and `adit remove`. Without the socket the agent works all the same: it logs a
 * warning.
 */
export async function openControlSocket(
  env: Readonly<Record<string, string | undefined>>,
  { status, upgrade, listenerCommands, inspectUrl, logger }: ControlParts,
): Promise<AsyncDisposable> {
  const answerUpgrade = async (): Promise<AdminAnswer> => {
    const outcome = await upgrade()
    const status = outcome.successor === undefined ? 409 : 200
    return { status, type: 'application/json', body: jsonLine(outcome) }
  }
  const commands = new Map<string, AdminCommand>([
    ...listenerCommands,
    [UPGRADE_PATH, answerUpgrade],
    [INSPECT_PATH, () => ({ type: 'application/json', body: jsonLine({ url: inspectUrl() }) })],
  ])
  const server = createAgentAdmin(status, undefined, commands)
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
