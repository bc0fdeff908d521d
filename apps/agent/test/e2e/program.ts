import { fileURLToPath } from 'node:url'
import { spawned, type Spawned, type SpawnedOptions } from '@proj/testkit/spawned'

const BIN = fileURLToPath(new URL('../../bin/adit.js', import.meta.url))

/** Variables of whoever runs the tests that would change what the program does. */
const CLEAN: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => /^(ADIT_|https?_proxy$|all_proxy$|no_proxy$)/i.test(name))
      .map((name) => [name, undefined]),
  ),
  // The default file of the user.
  XDG_CONFIG_HOME: '/nonexistent',
}

/** Starts `adit` with these arguments and nothing else. */
export function adit(args: readonly string[], options: SpawnedOptions = {}): Spawned {
  return spawned(process.execPath, [BIN, ...args], {
    ...options,
    env: { ...CLEAN, ...options.env },
  })
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
