import { readFile } from 'node:fs/promises'

import { EXIT, UserError } from '@proj/program-kit'

/**
 * Reads a file of certificates or a key, if one is given.
 *
 * @param key - setting that names the file.
 * @throws {UserError} when it cannot be read.
 */
export async function readPem(file: string | undefined, key: string): Promise<string | undefined> {
  if (file === undefined) return undefined
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(`${key}: ${why}`, { exitCode: EXIT.usage, cause: error })
  }
}
