// docs/api.md: its examples are run with curl, its tables are compared with the code.
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { API_ERRORS } from '../../../src/admin/api/api-error.ts'
import { makeOperatorKey } from '../../../src/admin/operator-key.ts'
import { Authenticator } from '../../../src/auth/authenticator.ts'
import { openStore } from '../../../src/store/store.ts'
import { storedToken } from '../../auth/signed.ts'
import { silent } from '../../store/fixtures.ts'
import { startServer } from '../../tunnel-fixture.ts'

const PAGE = readFileSync(
  fileURLToPath(new URL('../../../../../docs/api.md', import.meta.url)),
  'utf8',
)

test('every example of docs/api.md does what it says', async ({ skip }) => {
  skip(spawnSync('curl', ['--version']).error !== undefined, 'no curl')
  const [setting = '', ...examples] = [...PAGE.matchAll(/^```sh\n(.*?)^```/gms)].map(
    ([, block = '']) => block,
  )
  using directory = temporaryDirectory()
  using store = openStore(directory.path, { uid: process.geteuid?.(), logger: silent })
  const { text } = await storedToken(store.tokens, { may: ['admin'], endpoints: [] })
  const { tokens, audit } = store
  const operatorKey = makeOperatorKey(directory.path, silent)
  using authenticator = new Authenticator({ tokens, audit, logger: silent, operatorKey })
  const server = await startServer({}, [], authenticator, undefined, {
    store,
    // No DNS is asked.
    domainProof: { checks: { txt: async () => 'unknown', http: async () => 'unknown' } },
  })
  try {
    const port = server.listeners.admin.bound[0]?.port
    const here = setting.replace(':8002', `:${port}`)
    expect(here).not.toBe(setting)
    const run = async (script: string) =>
      await promisify(execFile)('bash', ['-euc', `${here}\n${script}`], {
        env: {
          PATH: process.env['PATH'],
          ADIT_ADMIN_TOKEN: text,
          ADIT_DATA_DIR: directory.path,
        },
      })
    const answers: unknown[] = []
    for (const example of examples) answers.push(JSON.parse((await run(example)).stdout))
    expect(answers).toEqual([
      expect.objectContaining({ token: expect.any(String), name: 'printers', endpoints: ['pc*'] }),
      expect.objectContaining({ endpoint: 'pc1', identity: 'token:k3v9m2ab' }),
      expect.objectContaining({ domain: 'shop.example.com', state: 'pending' }),
      expect.objectContaining({ endpoint: 'pc1', identity: 'token:k3v9m2ab' }),
      { items: [expect.objectContaining({ event: 'token.created', name: 'printers' })] },
      expect.objectContaining({ token: expect.any(String), name: 'first', may: ['admin'] }),
    ])
    expect(store.reservations.list()).toEqual([])
  } finally {
    server.destroy()
  }
})

test('the table of errors has every code with its status and meaning', () => {
  const rows = [...PAGE.matchAll(/^\| `([\w-]+)` +\| (\d+) +\| (.*?) +\|$/gm)].map(
    ([, code, status, meaning]) => [code, Number(status), meaning],
  )
  const known = Object.entries(API_ERRORS).map(([code, { status, meaning }]) => [
    code,
    status,
    meaning,
  ])
  expect(rows).toEqual(known)
})
