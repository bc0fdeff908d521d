/** What the control socket does for `adit add` and `adit remove`. */
import { formatProblems } from '@proj/config'
import { type AdminAnswer, type AdminCommand, EXIT, jsonLine, UserError } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import { explainError } from '../commands/explain-error.ts'
import { readListenerRequest } from '../listeners/added-listener.ts'
import type { RunningConfig } from '../running-config.ts'
import type { AgentSettings } from '../settings.ts'

/** Paths of the commands. */
export const ADD_PATH = '/listeners/add'
export const REMOVE_PATH = '/listeners/remove'

/** How long the answer waits until the endpoint is online, ms. */
const ONLINE_MS = 10_000

/** Answer to a listener that was added. */
export interface Added {
  readonly endpoint: string
  /** False: the agent goes on to try. */
  readonly online: boolean
  readonly urls: readonly string[]
}

/** Answer to what was not done. */
export interface NotDone {
  readonly error: string
  readonly hint?: string | undefined
  readonly exitCode: number
}

/** What the commands work with. */
export interface ListenerCommandParts {
  readonly running: Pick<RunningConfig, 'add' | 'remove'>
  readonly logger: Logger
  /** How the server is asked. */
  readonly connect: AgentSettings['connect']
  /** Why listeners cannot be changed now. */
  readonly findObstacle: () => string | undefined
  /** Aborted when the agent stops. */
  readonly signal: AbortSignal
}

/** The commands by their paths. */
export function listenerCommands(parts: ListenerCommandParts): ReadonlyMap<string, AdminCommand> {
  const guarded =
    (run: (body: string) => Promise<object>): AdminCommand =>
    async (body) => {
      try {
        const why = parts.findObstacle()
        if (why !== undefined) {
          throw new UserError(`listeners cannot be changed now: ${why}`, { exitCode: EXIT.failed })
        }
        return json(200, await run(body))
      } catch (error) {
        const explained = explainError(error, parts.connect)
        if (!(explained instanceof UserError)) throw error
        const { message, hint, exitCode } = explained
        return json(409, { error: message, hint, exitCode } satisfies NotDone)
      }
    }
  return new Map([
    [ADD_PATH, guarded(async (body) => await add(parts, body))],
    [REMOVE_PATH, guarded(async (body) => await remove(parts, body))],
  ])
}

async function add(
  { running, logger, signal }: ListenerCommandParts,
  body: string,
): Promise<Added> {
  const asked = await readListenerRequest(JSON.parse(body))
  if ('problems' in asked) {
    throw new UserError(formatProblems(asked.problems).trimEnd(), { exitCode: EXIT.usage })
  }
  const { endpoint } = asked.setting
  const made = await running.add(asked)
  if (made === 'served') {
    throw new UserError(`the agent has a listener for ${endpoint} already`, {
      exitCode: EXIT.usage,
      hint: `end it first: adit remove ${endpoint}`,
    })
  }
  if (made === 'full') {
    throw new UserError('too many listeners were added', {
      exitCode: EXIT.failed,
      hint: 'remove some, or put them into a file and reload it',
    })
  }
  logger.info({ endpoint }, 'listener added by a command; it is not in the configuration')
  const { listener } = made
  const late = AbortSignal.timeout(ONLINE_MS)
  try {
    await listener.ready({ signal: AbortSignal.any([late, signal]) })
  } catch (error) {
    if (!late.aborted && !signal.aborted) throw error
  }
  return { endpoint, online: listener.online, urls: listener.urls }
}

async function remove(
  { running, logger }: ListenerCommandParts,
  body: string,
): Promise<{ readonly removed: string }> {
  const { endpoint } = JSON.parse(body) as { readonly endpoint: string } // of the same program
  if (!(await running.remove(endpoint))) {
    throw new UserError(`the agent has no listener for ${endpoint}`, {
      exitCode: EXIT.failed,
      hint: 'adit status shows its listeners',
    })
  }
  logger.info({ endpoint }, 'listener removed by a command; the configuration may still have it')
  return { removed: endpoint }
}

function json(status: number, value: object): AdminAnswer {
  return { status, type: 'application/json', body: jsonLine(value) }
}
