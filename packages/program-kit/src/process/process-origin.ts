/** What a process has from its start: the process that it replaces, and how its own successor is started. */
import { readFileSync } from 'node:fs'

import { type HandedSocket, type HandOverHost, Predecessor } from './hand-over.ts'

/** How this process was started, for its successor. */
export interface Restart {
  /** Program and arguments; the program is read from the disk again. */
  readonly command: readonly [program: string, ...args: string[]]
  /** Environment of the successor. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Why there can be no successor; undefined: there can. */
  readonly obstacle: string | undefined
}

/** What a process has from its start. */
export interface ProcessOrigin<Socket extends HandedSocket> {
  /** The process that this one replaces. */
  readonly predecessor: Predecessor<Socket> | undefined
  /** How its own successor is started. */
  readonly restart: Restart
}

/** The parts of a process that are read; `process` is one. */
interface StartedProcess extends HandOverHost {
  readonly argv: readonly string[]
  readonly env: Record<string, string | undefined>
  readonly execArgv: readonly string[]
  readonly execPath: string
  readonly pid: number
  readonly ppid: number
}

/** Programs that containers run as process 1 (`docker run --init`): they end with their child. */
const CONTAINER_INITS: ReadonlySet<string> = new Set([
  'tini',
  'tini-static',
  'docker-init',
  'podman-init',
  'dumb-init',
  'catatonit',
])

/**
 * Reads what a process has from its start. The variable that announces a hand-over is removed from its
 * environment; those of a service manager must have been removed before, as the successor gets the same.
 *
 * @param isExecutable - whether program and Node are one file (https://nodejs.org/api/single-executable-applications.html)
 * @throws {HandOverError} when the process to be replaced is gone, or of another version.
 */
export async function readOrigin<Socket extends HandedSocket>(
  host: StartedProcess,
  isExecutable: boolean = process.getBuiltinModule('node:sea').isSea(),
): Promise<ProcessOrigin<Socket>> {
  const { argv, env, execArgv, execPath } = host
  // An executable contains its script: what stands in its place is the name that was typed.
  const line = isExecutable ? argv.slice(2) : [...execArgv, ...argv.slice(1)]
  const predecessor = await Predecessor.receive<Socket>(host, env)
  const restart = {
    command: [execPath, ...line] as const,
    env: { ...env },
    obstacle: findObstacle(host),
  }
  return { predecessor, restart }
}

/**
 * Why this process cannot be replaced by a child of its own; undefined: it can.
 *
 * @param init - name of process 1, if it is known.
 */
export function findObstacle(
  { env, pid, ppid }: Pick<StartedProcess, 'env' | 'pid' | 'ppid'>,
  platform: NodeJS.Platform = process.platform,
  init: string | undefined = readInitName(),
): string | undefined {
  if (platform === 'win32') {
    return 'Windows cannot hand over listening sockets; restart the program with on_conflict=wait'
  }
  if (pid === 1 || (ppid === 1 && init !== undefined && CONTAINER_INITS.has(init))) {
    return 'the container ends with this process; start a second container and stop this one'
  }
  // Before version 248 systemd does not set SYSTEMD_EXEC_PID.
  const isService = ppid === 1 && init === 'systemd' && env['INVOCATION_ID'] !== undefined
  if (isService || env['SYSTEMD_EXEC_PID'] === String(pid)) {
    return 'systemd ends the successor together with the service; use a socket unit and systemctl restart'
  }
  return undefined
}

function readInitName(): string | undefined {
  try {
    return readFileSync('/proc/1/comm', 'utf8').trim()
  } catch {
    return undefined // not on Linux, or process 1 is hidden
  }
}
