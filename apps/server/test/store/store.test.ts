import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import { openStore, STAMP_FILE, type Store, STORE_FILE } from '../../src/store/store.ts'
import { silent } from './fixtures.ts'

function folder(): string {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return directory.path
}

function open(directory: string): Store {
  const store = openStore(directory, { uid: process.geteuid?.(), logger: silent })
  onTestFinished(() => store.close())
  return store
}

const HINT =
  'put a backup in its place (docs/names.md); to begin anew without its names and tokens remove adit.stamp'

describe('a store that was there and is lost', () => {
  test.for([
    [
      'replaced by a file of no bytes',
      'is empty',
      (file: string) => {
        rmSync(file) // another inode: a closed connection may still have locks on this one
        writeFileSync(file, '')
      },
    ],
    ['removed', 'is missing', (file: string) => rmSync(file)],
    [
      'replaced by a database with nothing in it',
      'is empty',
      (file: string) => {
        rmSync(file)
        Database.open(file, { migrations: [] }).close()
      },
    ],
  ] as const)('%s: is no new store until the stamp is removed', ([, why, lose]) => {
    const path = folder()
    const file = join(path, STORE_FILE)
    open(path).close()
    const stamp = join(path, STAMP_FILE)
    expect(statSync(stamp).mode & 0o777).toBe(0o600)
    lose(file)
    for (let round = 0; round < 2; round++) {
      expect(() => open(path)).toThrow(
        expect.objectContaining({ code: 'STORE_LOST', message: `${file} ${why}`, hint: HINT }),
      )
    }
    rmSync(stamp)
    expect(open(path).tokens.list()).toEqual([])
    expect(existsSync(stamp)).toBe(true)
  })

  test('a store from before there was a stamp gets one', () => {
    const path = folder()
    open(path).close()
    rmSync(join(path, STAMP_FILE))
    open(path).close()
    expect(existsSync(join(path, STAMP_FILE))).toBe(true)
  })
})
