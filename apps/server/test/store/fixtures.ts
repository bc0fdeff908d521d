// Stores under test: each interface has one suite of facts, run on memory and on a file.
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { openLibsql, openNodeSqlite } from '../../src/store/sqlite.ts'

/** The libraries of this Node that a file is opened with: each passes the same tests. */
export const LIBRARIES = [
  { library: 'libsql', openSqlite: openLibsql },
  { library: 'node:sqlite', openSqlite: openNodeSqlite }, // from Node 22.16 on
].filter(({ openSqlite }) => openSqlite !== undefined)

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
