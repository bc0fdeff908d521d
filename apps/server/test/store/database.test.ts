import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import {
  openSqlite as installed,
  type OpenSqlite,
  type SqliteConnection,
} from '../../src/store/sqlite.ts'
import { isStoreError } from '../../src/store/store-error.ts'
import { MIGRATIONS } from '../../src/store/migrations.ts'
import { LIBRARIES } from './fixtures.ts'

const FIRST = 'CREATE TABLE one (a TEXT NOT NULL) STRICT'
const SECOND = 'CREATE TABLE two (b TEXT NOT NULL) STRICT'

function folder(): { file: string; write: (name: string, content: string | Buffer) => string } {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return {
    file: join(directory.path, 'adit.db'),
    write: (name, content) => directory.write(name, content),
  }
}

function failure(work: () => unknown): { code: string; message: string; hint: string } {
  try {
    work()
  } catch (error) {
    if (isStoreError(error)) return { code: error.code, message: error.message, hint: error.hint }
    throw error
  }
  throw new Error('nothing was thrown')
}

describe.each(LIBRARIES)('$library', ({ openSqlite }) => {
  function open(file: string, migrations: readonly string[] = [FIRST], busyTimeoutMs = 5000) {
    const database = Database.open(file, { migrations, busyTimeoutMs, open: openSqlite })
    onTestFinished(() => database.close())
    return database
  }

  test('written rows are there when the file is opened again, and nothing is left beside the file', () => {
    const { file } = folder()
    const first = open(file)
    first.run('INSERT INTO one VALUES (?)', 'kept')
    first.close()
    const copy = `${file}.moved`
    writeFileSync(copy, readFileSync(file))
    expect(open(copy).all('SELECT a FROM one')).toEqual([{ a: 'kept' }])
  })

  test.each(Array.from({ length: 12 }, (_, before) => before))(
    'another process may create the tables before statement %i of an opening',
    (before) => {
      const { file } = folder()
      let count = 0
      const meet = (connection: SqliteConnection): void => {
        // One that has the lock for writing is waited for.
        if (count++ === before && !connection.inTransaction) open(file).close()
      }
      const interrupted: OpenSqlite = (path, busyTimeoutMs) => {
        const connection = (openSqlite ?? installed)(path, busyTimeoutMs)
        return {
          get inTransaction() {
            return connection.inTransaction
          },
          exec: (sql) => {
            meet(connection)
            connection.exec(sql)
          },
          prepare: (sql) => {
            const statement = connection.prepare(sql)
            return {
              all: (values) => {
                meet(connection)
                return statement.all(values)
              },
              run: (values) => {
                meet(connection)
                return statement.run(values)
              },
            }
          },
          close: () => connection.close(),
        }
      }
      const database = Database.open(file, { migrations: [FIRST], open: interrupted })
      onTestFinished(() => database.close())
      expect(database.all('SELECT a FROM one')).toEqual([])
    },
  )

  test('every commit is on the disk before it is acknowledged', () => {
    const database = open(folder().file)
    expect(database.one('PRAGMA journal_mode')).toEqual({ journal_mode: 'wal' })
    expect(database.one('PRAGMA synchronous')).toEqual({ synchronous: 2 }) // FULL
  })

  test('its files are for their owner alone', () => {
    const { file } = folder()
    open(file).run('INSERT INTO one VALUES (?)', 'x')
    const modes = ['', '-wal', '-shm'].map((end) => statSync(`${file}${end}`).mode & 0o777)
    expect(modes).toEqual([0o600, 0o600, 0o600])
  })

  test('a file that was readable to others is so no more', () => {
    const { file } = folder()
    open(file).close()
    chmodSync(file, 0o644)
    open(file)
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('a transaction that throws has done nothing', () => {
    const database = open(folder().file)
    const insert = () =>
      database.transaction(() => {
        database.run('INSERT INTO one VALUES (?)', 'x')
        throw new Error('halfway')
      })
    expect(insert).toThrow('halfway')
    expect(database.all('SELECT * FROM one')).toEqual([])
    database.transaction(() => database.run('INSERT INTO one VALUES (?)', 'y'))
    expect(database.all('SELECT a FROM one')).toEqual([{ a: 'y' }])
  })

  test('a closed database is an error', () => {
    const database = open(folder().file)
    database.all('SELECT * FROM one')
    database.close()
    database.close()
    expect(failure(() => database.all('SELECT * FROM one')).code).toBe('STORE_CLOSED')
    expect(failure(() => database.transaction(() => {})).code).toBe('STORE_CLOSED')
  })

  test('a mistake in a statement is a defect and no state of the file', () => {
    const database = open(folder().file)
    expect(() => database.all('SELECT * FROM nowhere')).toThrow(/no such table/)
    expect(() => failure(() => database.all('SELECT * FROM nowhere'))).toThrow(/no such table/)
  })

  describe('migrations', () => {
    test('missing steps are taken, in order, and what is there stays', () => {
      const { file } = folder()
      const old = open(file, [FIRST])
      old.run('INSERT INTO one VALUES (?)', 'old')
      old.close()
      const more = open(file, [FIRST, SECOND, 'INSERT INTO two SELECT a FROM one'])
      expect(more.all('SELECT b FROM two')).toEqual([{ b: 'old' }])
      more.close()
      expect(
        open(file, [FIRST, SECOND, 'INSERT INTO two SELECT a FROM one']).all('SELECT b FROM two'),
      ).toHaveLength(1)
    })

    test('a step that fails leaves the file as it was', () => {
      const { file } = folder()
      open(file, [FIRST]).close()
      expect(() => open(file, [FIRST, SECOND, 'nonsense'])).toThrow(/nonsense/)
      expect(open(file, [FIRST]).all(`SELECT name FROM sqlite_schema`)).toEqual([{ name: 'one' }])
    })

    test('a file of a newer program is left alone', () => {
      const { file } = folder()
      open(file, [FIRST, SECOND]).close()
      expect(failure(() => open(file, [FIRST]))).toEqual({
        code: 'STORE_NEWER',
        message: `${file} is in version 2, this program knows 1`,
        hint: 'run the version that wrote it, or a newer one',
      })
    })

    test('a database of another program is left alone', () => {
      const { file } = folder()
      const foreign = open(file)
      foreign.run('PRAGMA application_id = 7')
      foreign.close()
      expect(failure(() => open(file))).toMatchObject({
        code: 'STORE_CORRUPT',
        message: `${file} is a database of another program`,
      })
    })

    test('tables without a version are no new file, and a version without tables is none', () => {
      const { file } = folder()
      const database = open(file)
      database.run('PRAGMA user_version = 0')
      database.close()
      expect(failure(() => open(file))).toMatchObject({
        code: 'STORE_CORRUPT',
        message: `${file} has tables, but its version (user_version) is 0`,
      })
      const emptied = folder().file
      const other = open(emptied)
      other.run('DROP TABLE one')
      other.close()
      expect(failure(() => open(emptied))).toMatchObject({
        code: 'STORE_CORRUPT',
        message: `${emptied} is in version 1 (user_version), but has no tables`,
      })
    })

    test('the released steps lead from each version to the newest', () => {
      for (let steps = 0; steps < MIGRATIONS.length; steps++) {
        const { file } = folder()
        if (steps > 0) open(file, MIGRATIONS.slice(0, steps)).close()
        expect(open(file, MIGRATIONS).one('PRAGMA user_version')).toEqual({
          user_version: MIGRATIONS.length,
        })
      }
    })
  })

  describe('a file that is no good is named', () => {
    test('one that is no database', () => {
      const file = folder().write('adit.db', 'reservations: web, db, '.repeat(500))
      expect(failure(() => open(file))).toEqual({
        code: 'STORE_CORRUPT',
        message: `${file}: file is not a database`,
        hint: 'put a backup in its place (docs/names.md), or name another data_dir',
      })
    })

    test('one with a page that was overwritten', () => {
      const { file } = folder()
      const database = open(file)
      database.transaction(() => {
        for (let n = 0; n < 2000; n++) database.run('INSERT INTO one VALUES (?)', `row ${n}`)
      })
      database.close()
      const bytes = readFileSync(file)
      bytes.fill(0xff, 4096, 4096 + 100)
      writeFileSync(file, bytes)
      const { code, message } = failure(() => open(file))
      expect(code).toBe('STORE_CORRUPT')
      expect(message).toContain(file)
    })

    test('one where there can be none', () => {
      const { file } = folder()
      const under = join(file, 'adit.db')
      writeFileSync(file, '')
      const { code, message } = failure(() => open(under))
      expect([code, message]).toEqual(['STORE_UNUSABLE', expect.stringContaining(under)])
      expect(message).toContain('ENOTDIR')
    })

    test('one that is a directory', () => {
      const { file } = folder()
      expect(failure(() => open(join(file, '..')))).toMatchObject({
        code: 'STORE_UNUSABLE',
        message: expect.stringContaining('EISDIR'),
      })
    })
  })

  test('one that another has locked is waited for, and then named', () => {
    const { file } = folder()
    const holder = open(file)
    const other = open(file, [FIRST], 50)
    holder.transaction(() => {
      expect(failure(() => other.run('INSERT INTO one VALUES (?)', 'x'))).toEqual({
        code: 'STORE_BUSY',
        message: `${file}: database is locked`,
        hint: 'try again; if it lasts, end the program that has the file open, or restart the server',
      })
    })
    other.run('INSERT INTO one VALUES (?)', 'x')
  })

  test('a full disk is named, and what was there before is safe', () => {
    const { file } = folder()
    const database = open(file)
    database.run('INSERT INTO one VALUES (?)', 'kept')
    // A bound on the pages is the same to SQLite as a disk without room.
    database.all('PRAGMA max_page_count = 3')
    const { code } = failure(() => database.run('INSERT INTO one VALUES (?)', 'x'.repeat(100_000)))
    expect(code).toBe('STORE_FULL')
    expect(database.all('SELECT a FROM one')).toEqual([{ a: 'kept' }])
  })

  test('a copy has everything, also what is not in the file yet, and overwrites nothing', () => {
    const { file } = folder()
    const database = open(file)
    for (let n = 0; n < 20; n++) database.run('INSERT INTO one VALUES (?)', `row ${n}`)
    const copy = `${file}.copy`
    database.copyTo(copy)
    database.run('INSERT INTO one VALUES (?)', 'later')
    expect(open(copy).all('SELECT a FROM one')).toHaveLength(20)
    expect(() => database.copyTo(copy)).toThrow(/already exists/)
  })
})
