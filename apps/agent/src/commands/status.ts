import {
  type AdminTlsFiles,
  EXIT,
  formatServerStatus,
  type Invocation,
  jsonLine,
  readServerStatus,
} from '@proj/program-kit'

import type { AgentStatus } from '@proj/program-kit'
import type { OwnCommands } from './commands.ts'
import { controlFolder } from '../control/control-folder.ts'
import { formatAgentStatus } from '../status/format-agent-status.ts'
import { NO_AGENT_HINT, readRunningAgents } from '../control/running-agents.ts'
import type { AgentTree } from '../settings.ts'

/**
 * `adit status`: shows the running agents of this user on this machine, or the server at a URL.
 *
 * @param flags.url - of a server's admin port. The other flags are for one with TLS.
 * @returns exit code 0 when every agent is ready and every endpoint of an access is served, or the
 *   server answered; else 1.
 */
export async function showStatus(
  { json, around }: Invocation<AgentTree, OwnCommands>,
  { url, ...files }: AdminTlsFiles & { readonly url: string | undefined },
): Promise<number> {
  const { stdout, stderr, env } = around
  if (url !== undefined) {
    const found = await readServerStatus(url, files)
    stdout.write(json ? jsonLine(found) : formatServerStatus(found))
    return EXIT.ok
  }
  const { agents, silent } = await readRunningAgents(controlFolder(env))
  if (json) stdout.write(jsonLine({ agents, silent }))
  else {
    stdout.write(agents.map(formatAgentStatus).join('\n'))
    for (const { socket, why } of silent) stderr.write(`adit: no answer from ${socket}: ${why}\n`)
    if (agents.length + silent.length === 0) {
      const hint = `${NO_AGENT_HINT}; for the state of a server name its admin port with --url`
      stderr.write(`adit: no agent of this user runs here\n  ${hint}\n`)
    }
  }
  const isWell = agents.length > 0 && silent.length === 0 && agents.every(isServing)
  return isWell ? EXIT.ok : EXIT.failed
}

/** Whether the agent is ready, and its accesses work as far as the server knows. */
function isServing({ ready, accesses }: AgentStatus): boolean {
  return (
    ready &&
    accesses.every(({ far: { state, outcome = 'ok' } }) => {
      return state === 'unknown' || (state === 'served' && outcome === 'ok')
    })
  )
}
