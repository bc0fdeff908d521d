// Holds a port until a signal, or for a command. The command inherits the listening socket; our own is
// closed in the same tick in which the command is started, so that no connection is accepted here. Clients
// that connect before the command accepts wait in the kernel's queue.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'

import { errnoOf } from '../claim/bind-verdict.ts'
import type { Claim } from '../claim/claim.ts'

/** Exit status of a shell for a command that cannot be run. */
const NOT_RUN = 127
/** Added to the number of the signal that ended a command, as shells do. */
const SIGNAL_BASE = 128

/** Holds a claim until SIGINT or SIGTERM. */
export async function holdUntilSignal(claim: Claim): Promise<void> {
  const controller = new AbortController()
  const { signal } = controller
  await Promise.race([once(process, 'SIGINT', { signal }), once(process, 'SIGTERM', { signal })])
  controller.abort()
  await claim.close()
}

/**
 * Runs a command with PORT set and, with `pass`, with the sockets of the claim. Resolves to its exit
 * status.
 */
export async function runWithPort(
  claim: Claim,
  command: readonly string[],
  options: {
    readonly pass: boolean
    readonly env: NodeJS.ProcessEnv
    readonly stderr: (text: string) => void
  },
): Promise<number> {
  const [file = '', ...args] = command
  const fds = options.pass
    ? claim.endpoints.map((_, index) => claim.fd(index)).filter((fd) => fd !== undefined)
    : []
  const env = {
    ...options.env,
    PORT: String(claim.port),
    ...(fds.length === 0 ? {} : { PORTCHECK_FDS: fds.map((_, index) => 3 + index).join(',') }),
  }
  if (!options.pass) claim.destroy()
  const child = spawn(file, args, { env, stdio: ['inherit', 'inherit', 'inherit', ...fds] })
  claim.destroy()
  // A terminal sends SIGINT to both processes; the command decides what it does.
  const forward = (signal: NodeJS.Signals): boolean => child.kill(signal)
  process.on('SIGTERM', forward).on('SIGINT', ignore)
  try {
    const [code, signal] = await once(child, 'exit')
    if (typeof code === 'number') return code
    return SIGNAL_BASE + (constants.signals[signal as NodeJS.Signals] ?? 0)
  } catch (error) {
    options.stderr(`portcheck: cannot run ${file}: ${errnoOf(error)}\n`)
    return NOT_RUN
  } finally {
    process.off('SIGTERM', forward).off('SIGINT', ignore)
  }
}

function ignore(): void {}
