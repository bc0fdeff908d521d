import { printable } from '@proj/config'
import { EXIT, type Invocation, jsonLine, UserError } from '@proj/program-kit'

import { controlFolder } from '../control/control-folder.ts'
import { ADD_PATH, type Added, type NotDone, REMOVE_PATH } from '../control/listener-commands.ts'
import { askAgent, findAgent } from '../control/running-agents.ts'
import type { ListenerRequest } from '../listeners/added-listener.ts'
import type { AgentTree } from '../settings.ts'
import type { OwnCommands } from './commands.ts'

type AgentInvocation = Invocation<AgentTree, OwnCommands>

/**
 * `adit add`: adds a listener to a running agent of this user, and waits until it is online.
 *
 * @param pid - process of the agent. Default: the only one that runs.
 * @throws {UserError} when it was not added, or is not online yet.
 */
export async function addListener(
  invocation: AgentInvocation,
  request: ListenerRequest,
  pid: number | undefined,
): Promise<number> {
  const added = await command<Added>(invocation, pid, ADD_PATH, request)
  const { json, around } = invocation
  const { endpoint, online, urls } = added
  if (!online) {
    throw new UserError(`${printable(endpoint)} is added, but not online yet`, {
      exitCode: EXIT.failed,
      hint: 'the agent goes on to try; adit status shows why',
    })
  }
  const where = urls.length === 0 ? '' : `: ${urls.map(printable).join(' ')}`
  around.stdout.write(json ? jsonLine(added) : `${printable(endpoint)} is online${where}\n`)
  return EXIT.ok
}

/**
 * `adit remove`: ends a listener of a running agent of this user; its open connections go on.
 *
 * @throws {UserError} when the agent does not have it.
 */
export async function removeListener(
  invocation: AgentInvocation,
  endpoint: string,
  pid: number | undefined,
): Promise<number> {
  const removed = await command<object>(invocation, pid, REMOVE_PATH, { endpoint })
  const { json, around } = invocation
  around.stdout.write(json ? jsonLine(removed) : `${printable(endpoint)} is removed\n`)
  return EXIT.ok
}

async function command<Answer>(
  { around: { env, signals } }: AgentInvocation,
  pid: number | undefined,
  path: string,
  body: object,
): Promise<Answer> {
  const { agent, socket } = await findAgent(controlFolder(env), pid)
  const how = { method: 'POST', path, signal: signals.stop } as const
  const answer = await askAgent(socket, how, JSON.stringify(body)).catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    const message = signals.stop.aborted ? 'stopped before the answer: it may still be done' : why
    throw new UserError(message, { exitCode: EXIT.failed, cause })
  })
  if (answer.status === 200) return JSON.parse(answer.body) as Answer // of the same program
  if (answer.status !== 409) {
    throw new UserError(`the agent (process ${agent.pid}) answered ${answer.status}`, {
      exitCode: EXIT.failed,
      hint: 'its version may not have this command: adit upgrade replaces it',
    })
  }
  const { error, hint: advice, exitCode } = JSON.parse(answer.body) as NotDone
  throw new UserError(error, { exitCode, hint: advice })
}
