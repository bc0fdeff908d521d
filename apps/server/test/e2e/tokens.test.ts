import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hashToken } from '@proj/identity'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { aditServer } from './programs.ts'

/** Runs a command to its end. */
async function ended(args: readonly string[], dataDir: string) {
  const program = aditServer([...args, '--data-dir', dataDir])
  const { code } = await program.exited
  return { code, stdout: program.stdout, stderr: program.stderr }
}

test('a token is printed once, alone on standard output, and kept as a hash', async () => {
  using directory = temporaryDirectory()
  const create = ['token', 'create', '--endpoints', 'pc*', '--name', 'printers']
  const made = await ended(create, directory.path)
  expect(made.code).toBe(0)
  expect(made.stdout).toMatch(/^adit_[0-9a-z]{8}_[0-9a-z]{39}\n$/)
  expect(made.stderr).toMatch(/good .*\nit is not shown again\n$/s)
  const text = made.stdout.trimEnd()
  const [, id = '', secret = ''] = text.split('_')
  expect(made.stderr).not.toContain(secret)
  const kept = readFileSync(join(directory.path, 'adit.db'), 'latin1')
  expect(kept).toContain(hashToken(text).toString('hex'))
  expect(kept).not.toContain(secret)

  const listed = await ended(['token', 'list', '--json'], directory.path)
  expect(JSON.parse(listed.stdout)).toMatchObject([
    { id, name: 'printers', may: ['listen', 'connect'], endpoints: ['pc*'], state: 'good' },
  ])
  const revoked = await ended(['token', 'revoke', id], directory.path)
  expect(revoked).toEqual({ code: 0, stdout: `${id} is revoked\n`, stderr: '' })
  expect((await ended(['token', 'list'], directory.path)).stdout).toMatch(/ revoked /)
})

test('--json says the same as one object', async () => {
  using directory = temporaryDirectory()
  const create = ['token', 'create', '--endpoints', 'a,b', '--may', 'connect', '--expires', 'inf']
  const { code, stdout, stderr } = await ended([...create, '--json'], directory.path)
  expect([code, stderr]).toEqual([0, ''])
  expect(JSON.parse(stdout)).toMatchObject({
    token: expect.stringMatching(/^adit_/),
    may: ['connect'],
    endpoints: ['a', 'b'],
    expires: null,
  })
})

test('commands work beside a running server', async () => {
  using directory = temporaryDirectory()
  const binds = ['proxy', 'upstream', 'admin'].flatMap((name) => [
    `--${name}.bind-addr`,
    '127.0.0.1:0',
  ])
  const server = aditServer([...binds, '--json', '--data-dir', directory.path])
  await server.event('ready')
  const made = await ended(['token', 'create', '--endpoints', '*'], directory.path)
  expect(made.code).toBe(0)
  expect((await ended(['token', 'list'], directory.path)).stdout).toContain(' good ')
})

test('where no server has kept anything, a command says so with 2', async () => {
  using directory = temporaryDirectory()
  expect(await ended(['token', 'list'], directory.path)).toEqual({
    code: 2,
    stdout: '',
    stderr: `adit-server: there is no adit.db in ${directory.path}\n  has the server run here? name its directory with --data-dir\n`,
  })
})
