// A server that asks nobody for a token is for this machine alone, unless an operator says otherwise in
// so many words.
import { netns, netnsMissing } from '@proj/testkit/netns'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { aditServer, portsOf } from './programs.ts'

const LOOPBACK = ['proxy', 'upstream', 'admin'].flatMap((name) => [
  `--${name}.bind-addr`,
  '127.0.0.1:0',
])

const noNamespaces = netnsMissing()

test('without a word the ports are on loopback, and start-up says why', async ({ skip }) => {
  skip(noNamespaces !== undefined, noNamespaces)
  using network = netns()
  const server = aditServer([], { prefix: network.prefix })
  await server.line(/operators/)
  const bound = [...server.stdout.matchAll(/(\S+:\d+) +IPv\d/g)].map(([, address]) => address)
  expect(bound).toEqual(
    [8000, 8001, 8002].flatMap((port) => [`127.0.0.1:${port}`, `[::1]:${port}`]),
  )
  expect(server.stderr).toContain(
    'only this machine can connect, because no credentials are required',
  )
  expect(server.stderr).toContain('adit-server token create')
  await server.stop()
})

test('with a token the same command takes every address', async ({ skip }) => {
  skip(noNamespaces !== undefined, noNamespaces)
  using network = netns()
  using directory = temporaryDirectory()
  const env = { ADIT_DATA_DIR: directory.path }
  const made = aditServer(['token', 'create', '--endpoints', '*', '--may', 'listen'], { env })
  expect(await made.exited).toMatchObject({ code: 0 })
  const server = aditServer([], { prefix: network.prefix, env })
  await server.line(/operators/)
  const bound = [...server.stdout.matchAll(/(\S+:\d+) +IPv\d/g)].map(([, address]) => address)
  expect(bound).toEqual(['[::]:8000', '[::]:8001', '127.0.0.1:8002', '[::1]:8002'])
  expect(server.stderr).not.toContain('no credentials are required')
  await server.stop()
})

describe('an address that others reach', () => {
  test.for(['proxy', 'upstream', 'admin'])('is refused for %s, with what to do', async (name) => {
    const server = aditServer([...LOOPBACK, `--${name}.bind-addr`, ':0'])
    expect(await server.exited).toMatchObject({ code: 2 })
    expect(server.stderr).toContain(
      `${name}.bind_addr: other machines can connect to :0 without credentials`,
    )
    expect(server.stderr).toContain('adit-server token create')
    expect(server.stderr).toContain('--insecure-open')
    expect(server.stdout).toBe('')
  })

  test.for([
    ['insecure_open, with a warning', ['--insecure-open'], true],
    ['an access list', ['--upstream.allow', '192.0.2.0/24'], false],
    ['keys of JWTs', ['--upstream.auth.hmac-secret-key-file', 'KEY'], false],
  ] as const)('is taken with %s', async ([, args, isWarned]) => {
    using directory = temporaryDirectory()
    const key = directory.write('key', 'a secret of at least thirty-two bytes')
    const given = args.map((argument) => (argument === 'KEY' ? key : argument))
    const all = [...LOOPBACK, '--upstream.bind-addr', ':0', ...given, '--json']
    const server = aditServer(all)
    expect(portsOf(await server.event('ready')).upstream).toBeGreaterThan(0)
    expect(server.stderr.includes('because insecure_open is set')).toBe(isWarned)
    await server.stop()
  })

  test('is taken for visitors where agents are known, as Piko does', async () => {
    using directory = temporaryDirectory()
    const key = directory.write('key', 'a secret of at least thirty-two bytes')
    const auth = ['--upstream.auth.hmac-secret-key-file', key]
    const server = aditServer([...LOOPBACK, '--proxy.bind-addr', ':0', ...auth, '--json'])
    expect(portsOf(await server.event('ready')).proxy).toBeGreaterThan(0)
    await server.stop()
  })
})
