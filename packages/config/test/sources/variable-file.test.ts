/** Files of variables, as `node --env-file` reads them. */
import { describe, expect, test } from 'vitest'

import {
  defineSettings,
  formatOrigin,
  integer,
  loadSettings,
  secret,
  setting,
  text,
} from '../../src/index.ts'
import { Workspace } from '../fixtures/workspace.ts'

const description = 'A value.'
const settings = defineSettings({
  envPrefix: 'APP',
  tree: {
    port: setting(integer({ min: 0, max: 65_535 }), { default: 80, variable: 'PORT', description }),
    databaseUrl: setting(secret(), { variable: 'DATABASE_URL', description }),
    name: setting(text(), { description }),
  },
})

describe('envFiles', () => {
  test('are weaker than variables, and a later one wins over an earlier one', async () => {
    using files = new Workspace({
      '.env': '# local\nexport PORT=3000\nDATABASE_URL="db://h" # a comment\nAPP_NAME=\'a\nb\'\n',
      '.env.local': 'PORT=4000\n',
    })
    const loaded = await loadSettings(settings, {
      cwd: files.path,
      envFiles: ['.env', 'missing', '.env.local'],
      env: { APP_NAME: 'x' },
    })
    if (!loaded.ok) throw new Error('not loaded')
    const { port, databaseUrl, name } = loaded.settings
    expect([port, databaseUrl?.reveal(), name]).toEqual([4000, 'db://h', 'x'])
    expect(loaded.values.map(({ origin }) => formatOrigin(origin))).toEqual([
      'variable PORT of .env.local',
      'variable DATABASE_URL of .env',
      'variable APP_NAME',
    ])
    expect(loaded.files).toEqual(
      ['.env', 'missing', '.env.local'].map((name) => `${files.path}/${name}`),
    )
  })

  test('serve the variables inside values, which wins over an own default', async () => {
    using files = new Workspace({ '.env': 'NAME=web\n', 'a.yaml': 'name: "${NAME:-none}"\n' })
    const options = { cwd: files.path, files: ['a.yaml'], envFiles: ['.env'] }
    const loaded = await loadSettings(settings, options)
    expect(loaded.ok && loaded.settings.name).toBe('web')
  })

  test('are named in what is wrong with a variable', async () => {
    using files = new Workspace({ '.env': 'PORT=http\nAPP_NAMES=x\n' })
    const { problems } = await loadSettings(settings, { cwd: files.path, envFiles: ['.env'] })
    expect(problems).toMatchObject([
      { code: 'CONFIG_ENVIRONMENT_UNKNOWN', origin: { name: 'APP_NAMES', file: '.env' } },
      { code: 'CONFIG_VALUE_INVALID', origin: { name: 'PORT', file: '.env' } },
    ])
  })

  test.each<[string, string | Uint8Array, string]>([
    ['of more than 1 MiB', '#'.repeat(1024 * 1024 + 1), 'CONFIG_FILE_TOO_LARGE'],
    ['that is not UTF-8', Uint8Array.of(0xff), 'CONFIG_FILE_UNREADABLE'],
  ])('one %s is refused', async (_what, content, code) => {
    using files = new Workspace({ '.env': content })
    const { problems } = await loadSettings(settings, { cwd: files.path, envFiles: ['.env'] })
    expect(problems).toMatchObject([{ code, origin: { path: '.env' } }])
  })

  test('reach no prototype', async () => {
    using files = new Workspace({
      '.env': '__proto__=x\nconstructor=y\n',
      'a.yaml': 'name: "${toString:-none}"\n',
    })
    const loaded = await loadSettings(settings, {
      cwd: files.path,
      files: ['a.yaml'],
      envFiles: ['.env'],
    })
    expect(loaded.ok && loaded.settings.name).toBe('none')
  })

  test('count where a variable is passed as undefined', async () => {
    using files = new Workspace({ '.env': 'APP_NAME=file\n' })
    const env = { APP_NAME: undefined }
    const loaded = await loadSettings(settings, { cwd: files.path, envFiles: ['.env'], env })
    expect(loaded.ok && loaded.settings.name).toBe('file')
  })
})
