import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '@proj/testkit/clean-environment'
import { spawned, type Spawned, type SpawnedOptions } from '@proj/testkit/spawned'
import { onTestFinished } from 'vitest'

const BIN = fileURLToPath(new URL('../../bin/adit.js', import.meta.url))

/** Starts `adit` with these arguments and nothing else. */
export function adit(args: readonly string[], options: SpawnedOptions = {}): Spawned {
  const started = spawned(process.execPath, [BIN, ...args], {
    ...options,
    env: { ...cleanEnvironment(), ...options.env },
  })
  onTestFinished(() => started.kill()) // what the test has not waited for is not waited for here
  return started
}

/** Runs `adit` to its end. */
export async function ended(
  args: readonly string[],
  options: SpawnedOptions = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const program = adit(args, options)
  const { code } = await program.exited
  return { code, stdout: program.stdout, stderr: program.stderr }
}
