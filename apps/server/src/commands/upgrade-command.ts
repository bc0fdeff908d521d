import { readFileSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { EXIT, type Invocation, jsonLine, UserError } from '@proj/program-kit'

import type { ServerTree } from '../settings.ts'
import { dataDirectory } from '../store/data-directory.ts'
import { findHolder } from '../store/directory-lock.ts'
import { OUTCOME_FILE, type UpgradeOutcome } from '../upgrade.ts'
import type { OwnCommands } from './commands.ts'

/** How often the outcome is looked for, ms. */
const POLL_MS = 100

/** What the running server may take besides its own limits, ms: it notices a hanging successor itself. */
const EXTRA_MS = 10_000

/**
 * Asks the server that has the data directory to replace itself, and waits for the outcome.
 *
 * @throws {UserError} when no server of this machine has it, or the server was not replaced.
 */
export async function upgradeServer({
  loaded,
  json,
  around: { stdout, env, signals },
}: Invocation<ServerTree, OwnCommands>): Promise<number> {
  const { dataDir, upgrade: limits } = loaded.settings
  const { path } = dataDirectory(dataDir, { env, uid: process.geteuid?.() })
  const holder = findHolder(path)
  if (holder === undefined || holder.host !== hostname()) {
    const where = holder === undefined ? '' : `: the server runs on ${holder.host}`
    throw new UserError(`no server on this machine uses the data directory ${path}${where}`, {
      exitCode: EXIT.failed,
      hint: 'pass its --data-dir or --config, or send SIGUSR2 to the process of the server',
    })
  }
  const file = join(path, OUTCOME_FILE)
  rmSync(file, { force: true })
  process.kill(holder.pid, 'SIGUSR2')
  const deadlineMs = performance.now() + limits.delayMs + 2 * limits.timeoutMs + EXTRA_MS
  let outcome: UpgradeOutcome | undefined
  while (outcome === undefined && performance.now() < deadlineMs) {
    await delay(POLL_MS)
    if (signals.stop.aborted) {
      throw new UserError('stopped before the outcome: the server may still be replaced', {
        exitCode: EXIT.failed,
        hint: 'see its log, to which both processes write',
      })
    }
    const isGone = !isAlive(holder.pid)
    outcome = readOutcome(file)
    if (isGone) outcome ??= outcomeWithout(holder.pid, path)
  }
  if (outcome?.successor === undefined) {
    const why = outcome?.why ?? 'the server did not answer'
    throw new UserError(`the server (process ${holder.pid}) was not replaced: ${why}`, {
      exitCode: EXIT.failed,
      hint: 'see its log, to which both processes write',
    })
  }
  const { pid, successor } = outcome
  if (json) stdout.write(jsonLine({ replaced: pid, successor }))
  else stdout.write(`process ${successor} has replaced process ${pid}\n`)
  return EXIT.ok
}

/** What became of a process that ended without an outcome: it was killed, perhaps after its successor began. */
function outcomeWithout(pid: number, directory: string): UpgradeOutcome {
  const holder = findHolder(directory)
  return holder === undefined ? { pid, why: 'it has ended' } : { pid, successor: holder.pid }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

function readOutcome(file: string): UpgradeOutcome | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as UpgradeOutcome
  } catch {
    return undefined // not there, or not whole yet
  }
}
