import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { backUp } from '../../src/commands/back-up.ts'
import type { Reservation } from '../../src/store/reservation-store.ts'
import { openStore, type Store, STORE_FILE } from '../../src/store/store.ts'
import { silent } from '../store/fixtures.ts'

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

const named = (endpoint: string): Reservation => ({
  tenant: '',
  endpoint,
  identity: 'a',
  kind: 'http',
  port: undefined,
  reservedAt: 1,
})

test('a copy is a store of its own with everything in it, for its owner alone', async () => {
  const store = open(folder())
  await store.reservations.reserve(named('web'))
  store.audit.write('name.reserved', { endpoint: 'web' })
  await store.audit.flush()
  const other = folder()
  const file = join(other, STORE_FILE)
  await backUp(store, file)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  await store.reservations.reserve(named('later'))
  const restored = open(other)
  expect(restored.reservations.list()).toEqual([named('web')])
  expect(await restored.audit.read()).toEqual(await store.audit.read())
})

test('a file that is there is left alone', async () => {
  const store = open(folder())
  const file = join(folder(), 'precious')
  writeFileSync(file, 'precious')
  await expect(backUp(store, file)).rejects.toThrow(
    expect.objectContaining({
      message: `${file} is there already`,
      exitCode: 2,
      hint: 'a backup overwrites nothing: name another file',
    }),
  )
  expect(readFileSync(file, 'utf8')).toBe('precious')
})

test('where no file can be made it says why', async () => {
  const store = open(folder())
  const file = join(folder(), 'missing', 'copy.db')
  await expect(backUp(store, file)).rejects.toThrow(
    expect.objectContaining({ exitCode: 2, message: expect.stringContaining('ENOENT') }),
  )
})

test('a copy that fails leaves nothing behind', async () => {
  const store = open(folder())
  const file = join(folder(), 'copy.db')
  store.close()
  await expect(backUp(store, file)).rejects.toThrow(expect.objectContaining({ exitCode: 1 }))
  expect(() => statSync(file)).toThrow('ENOENT')
})
