import { EXIT, type Invocation, jsonLine, UserError } from '@proj/program-kit'

import { controlFolder } from '../control/control-folder.ts'
import { INSPECT_PATH } from '../control/control-socket.ts'
import { askAgent, findAgent } from '../control/running-agents.ts'
import type { AgentTree } from '../settings.ts'
import type { OwnCommands } from './commands.ts'

/**
 * `adit inspect`: prints the address of the inspector of a running agent of this user on this machine.
 *
 * @param flags.pid - process of the agent. Default: the only one that runs.
 * @throws {UserError} when there is no such agent, or it has no inspector.
 */
export async function printInspector(
  { json, around }: Invocation<AgentTree, OwnCommands>,
  { pid }: { readonly pid: number | undefined },
): Promise<number> {
  const { stdout, env, signals } = around
  const { agent, socket } = await findAgent(controlFolder(env), pid)
  const { status, body } = await askAgent(socket, {
    method: 'POST',
    path: INSPECT_PATH,
    signal: signals.stop,
  })
  const { url } = (status === 200 ? JSON.parse(body) : {}) as { readonly url?: string }
  if (url === undefined) {
    throw new UserError(`the agent (process ${agent.pid}) has no inspector`, {
      exitCode: EXIT.failed,
      hint: 'start it with --inspect, or with inspect: true in its file',
    })
  }
  stdout.write(json ? jsonLine({ pid: agent.pid, url }) : `${url}\n`)
  return EXIT.ok
}
