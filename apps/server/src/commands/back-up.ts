import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs'

import { EXIT, UserError } from '@proj/program-kit'

import type { Store } from '../store/store.ts'
import { isStoreError } from '../store/store-error.ts'

/**
 * Writes a consistent copy of the store, whether or not a server is writing to it. The copy is for
 * its owner alone, complete and on the disk when this returns, or not there.
 *
 * @throws {UserError} exit code 2 when there is a file already, or it cannot be made.
 */
export function backUp(store: Store, file: string): void {
  try {
    // Claimed first: what is there is never overwritten, and SQLite fills a file that is empty.
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
    store.copyTo(file)
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
