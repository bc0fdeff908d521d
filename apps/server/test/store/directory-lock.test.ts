import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { lockDirectory } from '../../src/store/directory-lock.ts'
import { isStoreError } from '../../src/store/store-error.ts'
import { LIBRARIES } from './fixtures.ts'

function folder(): string {
  const directory = temporaryDirectory()
  onTestFinished(() => directory[Symbol.dispose]())
  return directory.path
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
  const lock = (path: string) => lockDirectory(path, openSqlite)

  test('the second server is told who has the directory, since when, and what to do', () => {
    const path = folder()
    using _first = lock(path)
    const { code, message, hint } = failure(() => lock(path))
    expect(code).toBe('STORE_IN_USE')
    expect(message).toMatch(
      /^data directory \S+ is in use by another server \(process \d+ on \S+, since \d{4}-\S+Z\)$/,
    )
    expect(message).toContain(`data directory ${path} is`)
    expect(message).toContain(`(process ${process.pid} on ${hostname()}, `)
    expect(hint).toBe('stop that server, or name another data_dir')
  })

  test('what was released can be taken, and releasing again does not take it away', () => {
    const path = folder()
    const first = lock(path)
    first.release()
    using _second = lock(path)
    first.release()
    expect(failure(() => lock(path)).message).toContain(`process ${process.pid}`)
  })

  test.for(['', '{', '[]', 'null', '{"pid":'])(
    'a holder file of %j names nobody wrongly',
    (text) => {
      const path = folder()
      using _first = lock(path)
      writeFileSync(join(path, 'adit.holder'), text)
      const { code, message } = failure(() => lock(path))
      expect(code).toBe('STORE_IN_USE')
      expect(message).toBe(`data directory ${path} is in use by another server`)
    },
  )

  test('its files are for their owner alone', () => {
    const path = folder()
    using _lock = lock(path)
    for (const name of ['adit.lock', 'adit.holder']) {
      expect(statSync(join(path, name)).mode & 0o777).toBe(0o600)
    }
    expect(readFileSync(join(path, 'adit.lock'), 'utf8')).toBe('')
  })

  test('where no file can be made it is said', () => {
    expect(failure(() => lock(join(folder(), 'missing'))).code).toBe('STORE_UNUSABLE')
  })
})
