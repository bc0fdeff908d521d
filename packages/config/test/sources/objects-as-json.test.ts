/** Lists of objects in variables and flags: JSON, an array or one object. */
import { describe, expect, test } from 'vitest'

import { formatReference, loadSettings } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

async function load(json: string) {
  return await loadSettings(settings, { cwd: '/cwd', env: { ADIT_LISTENERS: json } })
}

describe('a variable', () => {
  test.each([
    [
      'an array',
      '[{"endpoint":"a","addr":3000},{"endpoint":"b","addr":"localhost:1","tls":{"server_name":"x"}}]',
      ['a', 'b'],
    ],
    ['one object', ' {"endpoint":"a","addr":":3000"}\n', ['a']],
    ['an empty array', '[]', []],
  ])('has %s', async (_what, json, names) => {
    const loaded = await load(json)
    expect(loaded.problems).toEqual([])
    expect(loaded.ok && loaded.settings.listeners.map(({ endpoint }) => endpoint)).toEqual(names)
  })

  test('wins over files, as a whole, and its secrets are secrets', async () => {
    using files = new Workspace({
      'a.yaml': 'listeners: [{endpoint: a, addr: 1}, {endpoint: b, addr: 2}]\n',
    })
    const env = { ADIT_LISTENERS: '[{"endpoint":"c","addr":"3","password":"hunter2"}]' }
    const loaded = await loadSettings(settings, { cwd: files.path, files: ['a.yaml'], env })
    expect(loaded.ok && loaded.settings.listeners.map(({ endpoint }) => endpoint)).toEqual(['c'])
    expect(loaded.ok && loaded.settings.listeners[0]?.password?.reveal()).toBe('hunter2')
    expect(JSON.stringify(loaded)).not.toContain('hunter2')
  })

  test.each([
    ['{"endpoint":"a"', 'CONFIG_VALUE_INVALID', 'listeners'],
    ['a', 'CONFIG_VALUE_INVALID', 'listeners'],
    ['[{"endpoint":"a","addr":"1"},]', 'CONFIG_VALUE_INVALID', 'listeners'],
    [`${'['.repeat(40)}${']'.repeat(40)}`, 'CONFIG_VALUE_INVALID', 'listeners'],
    ['5', 'CONFIG_SHAPE_WRONG', 'listeners[0]'],
    ['["a"]', 'CONFIG_SHAPE_WRONG', 'listeners[0]'],
    ['[[]]', 'CONFIG_SHAPE_WRONG', 'listeners[0]'],
    ['[{"endpoint":"a"}]', 'CONFIG_VALUE_MISSING', 'listeners[0].addr'],
    ['[{"endpoint":"a","addr":"1","adr":1}]', 'CONFIG_KEY_UNKNOWN', 'listeners[0].adr'],
    [
      '[{"__proto__":{"polluted":1},"endpoint":"a","addr":"1"}]',
      'CONFIG_KEY_UNKNOWN',
      'listeners[0].__proto__',
    ],
  ])('%s is refused at its place', async (json, code, key) => {
    const { ok, problems } = await load(json)
    expect(ok).toBe(false)
    expect(problems).toMatchObject([{ code, key, origin: { name: 'ADIT_LISTENERS' } }])
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })

  test.each(['12345678901234567890', '1e400', '-9007199254740993'])(
    'refuses the number %s, which would be another one',
    async (number) => {
      const { ok, problems } = await load(`[{"endpoint":${number},"addr":3000}]`)
      expect(ok).toBe(false)
      expect(problems).toMatchObject([
        { key: 'listeners[0].endpoint', message: expect.stringContaining('loses digits') },
      ])
    },
  )

  test('is named in the reference page', () => {
    expect(formatReference(settings, 'X')).toContain(
      '`--listeners \'[{"key":"value"}]\'`, variable `ADIT_LISTENERS`',
    )
  })
})

test('a file has a list, not the text of one', async () => {
  using files = new Workspace({ 'a.yaml': 'listeners: \'[{"endpoint":"a","addr":"1"}]\'\n' })
  const { problems } = await loadSettings(settings, { cwd: files.path, files: ['a.yaml'] })
  expect(problems).toMatchObject([{ code: 'CONFIG_SHAPE_WRONG', key: 'listeners' }])
})
