// Stores under test: each interface has one suite of facts, run on memory and on a file.
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'

/** A database of its own for the running test. */
export function freshDatabase(): Database {
  const directory = temporaryDirectory()
  const database = Database.open(join(directory.path, 'adit.db'), { migrations: MIGRATIONS })
  onTestFinished(() => {
    database.close()
    directory[Symbol.dispose]()
  })
  return database
}

export const silent = { debug() {}, info() {}, warn() {}, error() {} }
