// Holds a port until a signal, or for a command. The command inherits the listening socket; our own is
// closed in the same tick in which the command is started, so that no connection is accepted here. Clients
// that connect before the command accepts wait in the kernel's queue.
import { spawn, type StdioOptions } from 'node:child_process'
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

/** Variables of sd_listen_fds(3) for this process; those of the command are its own. */
const SERVICE_MANAGER = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID'] as const

/**
 * Becomes the command under its own process id, which LISTEN_PID has to be and which is known only once
 * the process runs.
 */
const BECOME_COMMAND = `command -v -- "$1" >/dev/null || {
  echo "portcheck: cannot run $1: ENOENT" >&2; exit ${NOT_RUN}
}
export LISTEN_PID=$$
exec "$@"`

/**
 * Runs a command with PORT set and, with `pass`, with the sockets of the claim: in PORTCHECK_FDS, and as
 * a service manager passes them (LISTEN_FDS, LISTEN_PID), except on Windows. Resolves to its exit status.
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
  const env: NodeJS.ProcessEnv = { ...options.env, PORT: String(claim.port) }
  for (const name of SERVICE_MANAGER) delete env[name]
  if (fds.length > 0) env['PORTCHECK_FDS'] = fds.map((_, index) => 3 + index).join(',')
  const isActivated = fds.length > 0 && process.platform !== 'win32'
  if (isActivated) env['LISTEN_FDS'] = String(fds.length)
  if (!options.pass) claim.destroy()
  const stdio: StdioOptions = ['inherit', 'inherit', 'inherit', ...fds]
  const child = isActivated
    ? spawn('/bin/sh', ['-c', BECOME_COMMAND, 'sh', ...command], { env, stdio })
    : spawn(file, args, { env, stdio })
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
