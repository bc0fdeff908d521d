import { chmodSync, existsSync, mkdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { aditServer } from './programs.ts'
import { storeProgram } from './store-programs.ts'

const BINDS = ['proxy', 'upstream', 'admin'].flatMap((name) => [
  `--${name}.bind-addr`,
  '127.0.0.1:0',
])
const OPENER = storeProgram('store-opener')

test('the data directory is made on start, for its owner alone', async () => {
  using directory = temporaryDirectory()
  const path = join(directory.path, 'state', 'adit')
  const server = aditServer([...BINDS, '--json', '--data-dir', path])
  await server.event('ready')
  expect(statSync(path).mode & 0o777).toBe(0o700)
  expect(statSync(join(path, 'adit.db')).mode & 0o777).toBe(0o600)
})

test('a configured directory that cannot be had ends the start with 2 and says what to do', async () => {
  using directory = temporaryDirectory()
  const path = join(directory.write('file', ''), 'adit')
  const server = aditServer([...BINDS, '--data-dir', path])
  expect(await server.exited).toMatchObject({ code: 2 })
  expect(server.stdout).toBe('')
  expect(server.stderr).toMatch(
    /^adit-server: data directory \S+: ENOTDIR: .* \(STORE_UNUSABLE\)\n {2}make it a directory the server may write to, or name another data_dir\n$/,
  )
})

test('without one that anybody asked for the server starts, and says what it cannot do', async () => {
  using directory = temporaryDirectory()
  const path = join(directory.write('file', ''), 'adit')
  const server = aditServer([...BINDS, '--json'], { env: { STATE_DIRECTORY: path } })
  await server.event('ready')
  expect(JSON.parse(await server.line(/the server stores nothing/))).toMatchObject({
    level: 'warn',
    why: expect.stringContaining('ENOTDIR'),
    hint: 'name a directory the server may write to: data_dir',
  })
})

test('what cannot be read may hold tokens: the server does not start without it', async () => {
  using directory = temporaryDirectory()
  const file = directory.write('adit.db', 'no database'.repeat(1000))
  const server = aditServer(BINDS, { env: { STATE_DIRECTORY: directory.path } })
  expect(await server.exited).toMatchObject({ code: 1 })
  expect(server.stderr).toContain(`${file}: file is not a database (STORE_CORRUPT)`)
  expect(server.stderr).toContain('put a backup in its place')
})

test('a directory that others can write to is refused', async () => {
  using directory = temporaryDirectory()
  const path = join(directory.path, 'open')
  mkdirSync(path)
  chmodSync(path, 0o777)
  const server = aditServer(BINDS, { env: { STATE_DIRECTORY: path } })
  expect(await server.exited).toMatchObject({ code: 2 })
  expect(server.stderr).toContain('has mode 777: others can write to it (STORE_DIRECTORY_UNSAFE)')
  expect(existsSync(join(path, 'adit.db'))).toBe(false)
})

test('an empty adit.db where there was a store ends the start with 2 and says what to do', async () => {
  using directory = temporaryDirectory()
  const first = aditServer([...BINDS, '--json', '--data-dir', directory.path])
  await first.event('ready')
  await first.stop()
  const file = join(directory.path, 'adit.db')
  truncateSync(file) // what cp onto a full disk leaves
  const server = aditServer([...BINDS, '--data-dir', directory.path])
  expect(await server.exited).toMatchObject({ code: 2 })
  expect(server.stderr).toContain(`adit-server: ${file} is empty (STORE_LOST)\n  put a backup`)
  expect(statSync(file).size).toBe(0)
})

test('a data directory is for one server, also when the one before was killed', async () => {
  using directory = temporaryDirectory()
  const args = [...BINDS, '--json', '--data-dir', directory.path]
  const first = aditServer(args)
  await first.event('ready')
  const second = aditServer(args)
  expect(await second.exited).toMatchObject({ code: 2 })
  expect(second.stderr).toContain(`is in use by another server (process ${first.pid} on `)
  expect(second.stderr).toContain('(STORE_IN_USE)\n  stop that server, or name another data_dir')
  // The commands on the store go on working beside it.
  const command = aditServer(['token', 'list', '--data-dir', directory.path])
  expect(await command.exited).toMatchObject({ code: 0 })
  first.kill('SIGKILL')
  await first.exited
  const third = aditServer(args)
  await third.event('ready')
  expect(await third.stop()).toMatchObject({ code: 0 })
  await aditServer(args).event('ready')
})

test('many processes may open a new file at once, and none takes a step twice', async () => {
  using directory = temporaryDirectory()
  const file = join(directory.path, 'adit.db')
  const openers = Array.from({ length: 6 }, () => spawned(process.execPath, [OPENER, file]))
  for (const one of openers) {
    const { code } = await one.exited
    expect([code, one.stderr]).toEqual([0, ''])
  }
})
