import { resolve } from 'node:path'
import { parseEnv } from 'node:util'

import type { Problem } from './problem.ts'
import { readBounded } from './read-bounded.ts'

/** Largest file of variables in bytes. */
const MAX_BYTES = 1024 * 1024

/** The variables of files. */
export interface VariableFiles {
  /** Text and file of each variable by name; of several files the last one wins. */
  readonly variables: ReadonlyMap<string, { readonly text: string; readonly path: string }>
  /** What is wrong with the files. */
  readonly problems: readonly Problem[]
  /** Absolute paths of all files, found or not. */
  readonly files: readonly string[]
}

/**
 * Reads files of variables in the grammar of `node --env-file`: `NAME=value`, quotes, `#` for comments,
 * `export` in front. Values are taken as they are written: no variable is replaced in them.
 */
export async function readVariableFiles(
  paths: readonly string[],
  { cwd, signal }: { readonly cwd: string; readonly signal: AbortSignal | undefined },
): Promise<VariableFiles> {
  const variables = new Map<string, { text: string; path: string }>()
  const problems: Problem[] = []
  const files: string[] = []
  for (const path of paths) {
    const absolute = resolve(cwd, path)
    files.push(absolute)
    const read = await readBounded(absolute, MAX_BYTES, signal)
    if ('failure' in read) {
      if (read.cause === 'missing') continue
      problems.push({
        code: read.cause === 'too-large' ? 'CONFIG_FILE_TOO_LARGE' : 'CONFIG_FILE_UNREADABLE',
        severity: 'error',
        origin: { kind: 'file', path, line: 0, column: 0 },
        message: `the file ${read.failure}`,
      })
      continue
    }
    for (const [name, text = ''] of Object.entries(parseEnv(read.text))) {
      variables.set(name, { text, path })
    }
  }
  return { variables, problems, files }
}
