import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { makeOperatorKey, type OperatorKey, readOperatorKey } from '../../src/admin/operator-key.ts'
import { silent } from '../store/fixtures.ts'

function isShown(key: OperatorKey | undefined, text: string | undefined): boolean | undefined {
  return key?.isShown({ authorization: `Bearer ${text}` })
}

test('the key of an earlier start, or of another server, opens nothing', () => {
  using directory = temporaryDirectory()
  using other = temporaryDirectory()
  const first = makeOperatorKey(directory.path, silent)
  const earlier = readOperatorKey(directory.path)
  expect(isShown(first, earlier)).toBe(true)
  const second = makeOperatorKey(directory.path, silent)
  const now = readOperatorKey(directory.path)
  makeOperatorKey(other.path, silent)
  expect(isShown(second, now)).toBe(true)
  expect(isShown(second, earlier)).toBe(false)
  expect(isShown(second, readOperatorKey(other.path))).toBe(false)
  expect(second?.isShown({})).toBe(false)
  expect(second?.isShown({ authorization: 'Bearer ' })).toBe(false)
})

test('a key that is made anew replaces the one before, in the file too', () => {
  using directory = temporaryDirectory()
  const key = makeOperatorKey(directory.path, silent)
  const before = readOperatorKey(directory.path)
  key?.renew()
  expect(isShown(key, before)).toBe(false)
  expect(isShown(key, readOperatorKey(directory.path))).toBe(true)
})

test('the file is for its owner alone, whatever was there, and no other stays', () => {
  using directory = temporaryDirectory()
  const file = join(directory.path, 'adit.operator')
  writeFileSync(file, 'mine', { mode: 0o644 })
  writeFileSync(`${file}.new`, 'mine', { mode: 0o644 })
  makeOperatorKey(directory.path, silent)
  expect(readdirSync(directory.path)).toEqual(['adit.operator'])
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8')).toMatch(/^[\w-]{43}$/)
})

test('without a data directory there is no key', () => {
  expect(makeOperatorKey(undefined, silent)).toBeUndefined()
})
