import { describe, expect, test } from 'vitest'
import { loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { socketMode } from '../../src/access/access-settings.ts'
import { pikoFiles } from '../../src/commands/piko-files.ts'
import { settings } from '../../src/settings.ts'

/** Loads a file with these accesses and returns its problems, and the accesses when there are none. */
async function load(...accesses: readonly string[]) {
  using folder = temporaryDirectory()
  const items = accesses.map((one) => `  - { ${one} }\n`).join('')
  const path = folder.write('adit.yaml', `accesses:\n${items}`)
  const loaded = await loadSettings(settings, { cwd: folder.path, env: {}, files: [path] })
  return {
    problems: loaded.problems.map(({ key, message, hint }) => ({ key, message, hint })),
    accesses: loaded.ok ? loaded.settings.accesses : [],
  }
}

describe('what other machines can connect to needs a word', () => {
  const HINT = 'bind 127.0.0.1 or localhost, list the clients in allow, or set public (--public)'
  test.for([
    ':9901',
    '0.0.0.0:9901',
    '[::]:9901',
    '192.168.1.5:9901',
    'tcp6://[::]:9901',
    'pc:9901',
  ])('%s is refused without one', async (address) => {
    const bind = `endpoint: pc1, bind_addr: ['127.0.0.1:1', '${address}']`
    expect((await load(bind)).problems).toEqual([
      {
        key: 'accesses[0].bind_addr',
        message: `other machines can connect to ${address}, and neither public nor allow is set`,
        hint: HINT,
      },
    ])
    expect((await load(`${bind}, public: true`)).problems).toEqual([])
    expect((await load(`${bind}, allow: [10.0.0.0/8]`)).problems).toEqual([])
  })

  test.for(['127.0.0.1:9901', '[::1]:9901', 'localhost:9901', 'unix:/run/pc1.sock'])(
    '%s needs none',
    async (address) => {
      expect((await load(`endpoint: pc1, bind_addr: '${address}'`)).problems).toEqual([])
    },
  )

  test('a file of piko forward needs none, for Piko knows none', async () => {
    using folder = temporaryDirectory()
    const path = folder.write(
      'piko.yaml',
      `ports: [{addr: ':3000', endpoint_id: a}, {addr: '3001', endpoint_id: b}]\n`,
    )
    const dialect = pikoFiles(settings).dialect({ expandEnv: false })
    const files = [{ path, dialect }]
    const loaded = await loadSettings(settings, { cwd: folder.path, env: {}, files })
    expect(loaded.problems).toEqual([])
    expect(loaded.ok && loaded.settings.accesses).toMatchObject([
      { public: true, bindAddr: [{ hostKind: 'any', port: 3000 }] },
      { public: true, bindAddr: [{ hostKind: 'localhost', port: 3001 }] },
    ])
  })
})

describe('a unix socket', () => {
  const unix = 'endpoint: pg, bind_addr: unix:/run/pg.sock'

  test('is for its owner, unless the mode says otherwise', async () => {
    const { accesses } = await load(unix, `${unix}2, socket_mode: 0660`)
    expect(accesses.map(socketMode)).toEqual([0o600, 0o660])
    expect((await load(`${unix}, socket_mode: 999`)).problems).toMatchObject([
      { key: 'accesses[0].socket_mode' },
    ])
  })

  test('has no next free port, and its clients have no address', async () => {
    expect((await load(`${unix}, on_conflict: next`)).problems).toMatchObject([
      {
        key: 'accesses[0].on_conflict',
        message: 'a unix socket, unix:/run/pg.sock, has no next free port',
      },
    ])
    expect((await load(`${unix}, deny: [10.0.0.0/8]`)).problems).toMatchObject([
      { key: 'accesses[0].deny', hint: 'limit the clients with socket_mode' },
    ])
  })

  test('is bound once', async () => {
    expect((await load(unix, unix)).problems).toMatchObject([
      {
        message:
          'unix:/run/pg.sock needs the same socket as unix:/run/pg.sock of accesses[0].bind_addr',
      },
    ])
  })
})

test('a descriptor is no address for an access', async () => {
  const { problems } = await load(`endpoint: pg, bind_addr: 'fd:3', public: true`)
  expect(problems).toMatchObject([{ message: 'fd:3 cannot be bound' }])
})
