// @ts-check
// Runs commands for the scripts: the output is passed through, the exit code returned.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ROOT } from './workspace.mjs'

/**
 * Runs a command to its end with our own output and no input.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, quiet?: boolean }} [options] - quiet: only
 *   errors are shown
 * @returns {Promise<number>} exit code, 1 for a signal
 */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', options.quiet === true ? 'ignore' : 'inherit', 'inherit'],
    })
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
}

/** With these turbo sends nothing to its makers, and prints no notice of theirs. */
export const QUIET_TURBO = { TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }

/**
 * Runs turbo tasks. The environment is passed on as it is: these are tests, not cached artefacts.
 *
 * @param {readonly string[]} args
 */
export function turbo(args) {
  return run(join(ROOT, 'node_modules/.bin/turbo'), ['run', '--env-mode=loose', ...args], {
    env: QUIET_TURBO,
  })
}
