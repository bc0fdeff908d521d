// Platforms set variables with names of their own: PORT, DATABASE_URL.
import { describe, expect, it } from 'vitest'

import {
  defineSettings,
  formatReference,
  integer,
  loadSettings,
  objects,
  secret,
  setting,
  text,
} from '../../src/index.ts'

const description = 'A value.'
const tree = {
  port: setting(integer({ min: 0, max: 65_535 }), { default: 80, variable: 'PORT', description }),
  databaseUrl: setting(secret(), { variable: 'DATABASE_URL', description }),
  name: setting(text(), { description }),
}
const settings = defineSettings({ envPrefix: 'APP', tree })

describe('a variable with a name of its own', () => {
  it('sets the value, and the variable of the key does not', async () => {
    const env = { PORT: '3000', APP_PORT: '4000', APP_NAME: 'x', DATABASE_URL: 'db://u:p@h/d' }
    const loaded = await loadSettings(settings, { cwd: '/', env })
    if (!loaded.ok) throw new Error('not loaded')
    const { port, databaseUrl, name } = loaded.settings
    expect([port, databaseUrl?.reveal(), name]).toEqual([3000, 'db://u:p@h/d', 'x'])
    expect(loaded.values[0]?.origin).toEqual({ kind: 'environment', name: 'PORT' })
  })

  it('is named in errors, and in the reference page', async () => {
    const loaded = await loadSettings(settings, { cwd: '/', env: { PORT: 'http' } })
    expect(loaded.problems[0]?.origin).toEqual({ kind: 'environment', name: 'PORT' })
    expect(formatReference(settings, 'Settings')).toContain('A value. Variable: `PORT`.')
  })

  it.each([
    [
      'two settings',
      {
        a: setting(text(), { variable: 'X', description }),
        b: setting(text(), { variable: 'X', description }),
      },
      'b and a are both called X',
    ],
    [
      'one with that of a key',
      {
        a: setting(text(), { variable: 'APP_B', description }),
        b: setting(text(), { description }),
      },
      'b and a are both called APP_B',
    ],
    [
      'one with the file of a secret',
      {
        a: setting(secret(), { variable: 'X', description }),
        b: setting(text(), { variable: 'X_FILE', description }),
      },
      'b and a are both called X_FILE',
    ],
    [
      'a wrong name',
      { a: setting(text(), { variable: 'A-B', description }) },
      'a: "A-B" is not the name of a variable',
    ],
    [
      'one inside a list of objects',
      {
        list: objects(
          { a: setting(text(), { variable: 'X', description }) },
          { description, identity: 'a' },
        ),
      },
      'list: a setting inside a list of objects has no variable',
    ],
  ] as const)('is refused for %s', (_what, wrong, message) => {
    expect(() => defineSettings({ envPrefix: 'APP', tree: wrong })).toThrow(message)
  })
})
