import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { dataDirectory, prepareDataDirectory } from '../../src/store/data-directory.ts'

const uid = process.getuid?.()

test.for([
  ['configured', '/srv/adit', { STATE_DIRECTORY: '/x' }, 1000, '/srv/adit'],
  ['of systemd', undefined, { STATE_DIRECTORY: '/var/lib/x:/var/lib/y' }, 1000, '/var/lib/x'],
  ['of systemd, for root', undefined, { STATE_DIRECTORY: '/var/lib/x' }, 0, '/var/lib/x'],
  ['of the user', undefined, { XDG_STATE_HOME: '/state', HOME: '/h' }, 1000, '/state/adit'],
  ['of root', undefined, { HOME: '/root' }, 0, '/var/lib/adit'],
  ['of anybody', undefined, { HOME: '/h', STATE_DIRECTORY: '' }, 1000, '/h/.local/state/adit'],
  ['where there are no users', undefined, { HOME: '/h' }, undefined, '/h/.local/state/adit'],
] as const)('the directory %s', ([, configured, env, user, path]) => {
  const isConfigured = configured !== undefined
  expect(dataDirectory(configured, { env, uid: user })).toEqual({ path, isConfigured })
})

test('a missing directory is made, for its owner alone', () => {
  using directory = temporaryDirectory()
  const path = join(directory.path, 'a', 'b')
  prepareDataDirectory(path, uid)
  expect(statSync(path).mode & 0o777).toBe(0o700)
  prepareDataDirectory(path, uid)
})

test.for([0o770, 0o702, 0o777])('a directory of mode %o is refused', (mode) => {
  using directory = temporaryDirectory()
  const path = join(directory.path, 'open')
  mkdirSync(path)
  chmodSync(path, mode)
  expect(() => prepareDataDirectory(path, uid)).toThrow(
    expect.objectContaining({
      code: 'STORE_DIRECTORY_UNSAFE',
      message: `data directory ${path} has mode ${mode.toString(8)}: others can write to it`,
    }),
  )
})

test('a directory that others may only read is taken', () => {
  using directory = temporaryDirectory()
  chmodSync(directory.path, 0o755)
  prepareDataDirectory(directory.path, uid)
  expect(statSync(directory.path).mode & 0o777).toBe(0o755)
})

test('a directory of another user is refused', ({ skip }) => {
  skip(uid !== 0, 'only root can make one')
  using directory = temporaryDirectory()
  const path = join(directory.path, 'theirs')
  mkdirSync(path, { mode: 0o700 })
  chownSync(path, 12_345, 12_345)
  expect(() => prepareDataDirectory(path, uid)).toThrow(
    expect.objectContaining({
      code: 'STORE_DIRECTORY_UNSAFE',
      message: `data directory ${path} belongs to user 12345, the server is user 0`,
    }),
  )
})

test('a directory that cannot be created is an error with the reason', () => {
  using directory = temporaryDirectory()
  const path = join(directory.write('file', ''), 'below')
  expect(() => prepareDataDirectory(path, uid)).toThrow(
    expect.objectContaining({
      code: 'STORE_UNUSABLE',
      message: expect.stringMatching(/^data directory .*\/below: ENOTDIR/),
      hint: 'make it a directory the server may write to, or name another data_dir',
    }),
  )
})
