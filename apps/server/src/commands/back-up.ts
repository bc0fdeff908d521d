import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs'

import { EXIT, UserError } from '@proj/program-kit'

import type { Store } from '../store/store.ts'
import { isStoreError } from '../store/store-error.ts'

/**
 * Writes a consistent copy of the store, also while a server writes to it. Only its owner can read the copy.
 * When this resolves, the copy is complete and on the disk; when it fails, there is none.
 *
 * @throws {UserError} exit code 2 when the file exists or cannot be created.
 */
export async function backUp(store: Store, file: string): Promise<void> {
  try {
    // Created first, so that no file is overwritten. SQLite fills an empty file.
    closeSync(openSync(file, 'wx', 0o600))
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(isThere ? `${file} is there already` : why, {
      exitCode: EXIT.usage,
      hint: isThere ? 'a backup overwrites nothing: name another file' : undefined,
      cause: error,
    })
  }
  try {
    await store.copyTo(file)
    const copy = openSync(file, 'r')
    fsyncSync(copy)
    closeSync(copy)
  } catch (error) {
    rmSync(file, { force: true })
    if (!isStoreError(error)) throw error
    const { message, hint } = error
    throw new UserError(message, { exitCode: EXIT.failed, hint, cause: error })
  }
}
