import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { Database } from '../../src/store/database.ts'
import type { Reservation } from '../../src/store/reservation-store.ts'
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

test('a store that was handed over is read only, until it is taken back', async () => {
  const path = folder()
  const before = open(path)
  await before.reservations.reserve(reservation('kept'))
  before.audit.write('name.reserved', { endpoint: 'kept' })
  before.handOver()
  const after = open(path)
  expect((await after.audit.read()).map(({ event }) => event)).toEqual(['name.reserved'])
  await after.reservations.reserve(reservation('later'))
  // Reading goes on, with what the other process writes.
  expect(before.reservations.find({ tenant: '', name: 'later' })).toMatchObject({
    endpoint: 'later',
  })
  await expect(before.reservations.reserve(reservation('late'))).rejects.toMatchObject({
    code: 'STORE_HANDED_OVER',
  })
  before.audit.write('name.lost', { endpoint: 'kept' })
  after.close()
  before.takeBack()
  await before.reservations.reserve(reservation('back'))
  await before.audit.flush()
  expect((await before.audit.read()).map(({ event }) => event)).toEqual([
    'name.reserved',
    'name.lost',
  ])
})

test('a store that was handed over writes nothing when it closes', async () => {
  const path = folder()
  const before = open(path)
  before.handOver()
  before.audit.write('name.lost', { endpoint: 'kept' })
  before.close()
  expect(await open(path).audit.read()).toEqual([])
})

test('the endpoints that are served are those of before in the next process', () => {
  const path = folder()
  const served = ['a', 'b', 'c'].map((name) => ({ tenant: 'one', name }))
  const [a, b, c] = served
  if (a === undefined || b === undefined || c === undefined) throw new Error('three endpoints')
  const first = open(path)
  for (const endpoint of served) first.served.set(endpoint, true)
  first.served.set(b, false)
  first.close()
  const second = open(path)
  expect(second.served.before).toEqual([a, c])
  second.served.set(a, false)
  second.served.set(b, true)
  second.handOver()
  second.served.set(c, false) // belongs to the next process
  second.close()
  expect(open(path).served.before).toEqual([b, c])
})

function reservation(endpoint: string): Reservation {
  return { tenant: '', endpoint, identity: 'me', kind: 'http', port: undefined, reservedAt: 1 }
}
