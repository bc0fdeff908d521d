import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import { LIBRARIES } from './fixtures.ts'

const APP = join(import.meta.dirname, '../..')

/** Opens the file with the other library, in a process of its own: within one, files have no locks. */
const OTHER: Readonly<Record<string, string>> = {
  libsql: `new (require('node:sqlite').DatabaseSync)(process.argv[1], { timeout: 50 })`,
  'node:sqlite': `new (require('libsql'))(process.argv[1], { timeout: 50 })`,
}

// A server of one file takes the place of one from npm, or a command of it works beside that.
test.for(LIBRARIES)(
  'a process with the other library waits for $library, and reads what it wrote',
  ({ library, openSqlite }, { skip }) => {
    skip(LIBRARIES.length < 2, 'this Node has no node:sqlite')
    const directory = temporaryDirectory()
    onTestFinished(() => directory[Symbol.dispose]())
    const file = join(directory.path, 'adit.db')
    const migrations = ['CREATE TABLE one (a TEXT NOT NULL) STRICT']
    const database = Database.open(file, { migrations, open: openSqlite })
    onTestFinished(() => database.close())
    const write = (): string => {
      const script = `const it = ${OTHER[library]}
      try {
        it.exec("INSERT INTO one VALUES ('theirs')")
        console.log(it.prepare('SELECT a FROM one').all().map(({ a }) => a).join())
      } catch (error) {
        console.log(error.message)
      }`
      return spawnSync(process.execPath, ['-e', script, file], { cwd: APP, encoding: 'utf8' })
        .stdout
    }
    database.transaction(() => {
      database.run('INSERT INTO one VALUES (?)', 'ours')
      expect(write()).toBe('database is locked\n')
    })
    expect(write()).toBe('ours,theirs\n')
    expect(database.all('SELECT a FROM one')).toEqual([{ a: 'ours' }, { a: 'theirs' }])
  },
)
