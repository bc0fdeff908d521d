import { EXIT, type Invocation, jsonLine, UserError } from '@proj/program-kit'

import { controlFolder } from '../control/control-folder.ts'
import { UPGRADE_PATH } from '../control/control-socket.ts'
import { askAgent, findAgent } from '../control/running-agents.ts'
import type { AgentTree } from '../settings.ts'
import type { UpgradeOutcome } from '../upgrade.ts'
import type { OwnCommands } from './commands.ts'

/**
 * `adit upgrade`: asks a running agent of this user on this machine to replace itself, and waits for the
 * outcome.
 *
 * @param flags.pid - process of the agent. Default: the only one that runs.
 * @throws {UserError} when there is no such agent, or it was not replaced.
 */
export async function upgradeAgent(
  { json, around }: Invocation<AgentTree, OwnCommands>,
  { pid }: { readonly pid: number | undefined },
): Promise<number> {
  const { stdout, env, signals } = around
  const { agent, socket } = await findAgent(controlFolder(env), pid, 'send SIGUSR2 to its process')
  const outcome = await requestUpgrade(socket, signals.stop)
  if (outcome.successor === undefined) {
    const why = signals.stop.aborted
      ? 'stopped before the outcome: the agent may still be replaced'
      : `the agent (process ${agent.pid}) was not replaced: ${outcome.why}`
    throw new UserError(why, {
      exitCode: EXIT.failed,
      hint: 'see its log, to which both processes write',
    })
  }
  const { successor } = outcome
  if (json) stdout.write(jsonLine({ replaced: agent.pid, successor }))
  else stdout.write(`process ${successor} has replaced process ${agent.pid}\n`)
  return EXIT.ok
}

/** The agent bounds the time itself, by its upgrade.timeout. */
async function requestUpgrade(socket: string, signal: AbortSignal): Promise<UpgradeOutcome> {
  try {
    const { status, body } = await askAgent(socket, { method: 'POST', path: UPGRADE_PATH, signal })
    if (status === 200 || status === 409) return JSON.parse(body) as UpgradeOutcome
    return { why: `it answered ${status}; its version has no upgrade in place` }
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) }
  }
}
