// Tests of the built command.
import { fileURLToPath } from 'node:url'

import { spawned } from '@proj/testkit/spawned'

import type { Report } from '../../src/report.ts'
import type { Reach } from '../../src/verify.ts'

/** The file of the command. */
export const COMMAND: string = fileURLToPath(new URL('../../bin/portcheck.js', import.meta.url))

/** The result of a run of the command. */
export interface Run {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The objects of `--json`. */
  readonly reports: (Report & { readonly reached?: readonly Reach[] })[]
}

/** Runs the command, under `prefix` if given, and waits for its end. */
export async function portcheck(
  args: readonly string[],
  prefix: readonly string[] = [],
): Promise<Run> {
  const running = spawned('/usr/bin/env', [...prefix, process.execPath, COMMAND, ...args])
  const { code } = await running.exited
  const { stdout, stderr } = running
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
  return { code, stdout, stderr, reports: lines.map((line) => JSON.parse(line)) }
}
