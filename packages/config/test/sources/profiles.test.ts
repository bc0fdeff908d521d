import { expect, test } from 'vitest'

import { defineSettings, loadSettings, objects, setting, text } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

const FILES = {
  'a.yaml': `connect: {url: http://a, timeout: 1s}
log: {level: info}
profiles:
  fast: {connect: {timeout: 2s}, listeners: [{endpoint: f, addr: 1}]}
  loud: {connect: {timeout: 3s}, log: {level: debug}}
`,
  'b.yaml': `connect: {url: http://b}
profiles: {fast: {max_head: 1KiB}}
`,
}

async function load(profiles: readonly string[] | undefined, contents: Record<string, string>) {
  using files = new Workspace(contents)
  return await loadSettings(settings, {
    cwd: files.path,
    files: Object.keys(contents),
    ...(profiles && { profiles }),
  })
}

test.each([
  [[], 'http://b', 1000, 'info', 65_536, 0],
  [['fast'], 'http://b', 2000, 'info', 1024, 1],
  [['loud'], 'http://b', 3000, 'debug', 65_536, 0],
  [['fast', 'loud'], 'http://b', 3000, 'debug', 1024, 1],
  [['loud', 'fast'], 'http://b', 2000, 'debug', 1024, 1],
] as const)(
  '%j lies over its file, a later one on top',
  async (chosen, url, timeoutMs, level, head, listeners) => {
    const loaded = await load(chosen, FILES)
    if (!loaded.ok) throw new Error('not loaded')
    const { connect, log, maxHeadBytes } = loaded.settings
    expect([
      connect.url,
      connect.timeoutMs,
      log.level,
      maxHeadBytes,
      loaded.settings.listeners.length,
    ]).toEqual([url, timeoutMs, level, head, listeners])
  },
)

test('a later file wins over the profile of an earlier one', async () => {
  const loaded = await load(['fast'], { ...FILES, 'c.yaml': 'connect: {timeout: 9s}\n' })
  expect(loaded.ok && loaded.settings.connect.timeoutMs).toBe(9000)
})

test('a profile that no file has is an error with the nearest name', async () => {
  const { problems } = await load(['fats'], FILES)
  expect(problems).toEqual([
    {
      code: 'CONFIG_PROFILE_UNKNOWN',
      severity: 'error',
      message: 'no file has the profile "fats"',
      allowed: 'fast, loud',
      hint: 'did you mean fast?',
    },
  ])
})

test.each([
  [
    'keys of a profile that is not asked for',
    'profiles: {x: {tokn: 1}}',
    'profiles.x.tokn',
    'CONFIG_KEY_UNKNOWN',
  ],
  ['profiles that are no group', 'profiles: [x]', 'profiles', 'CONFIG_SHAPE_WRONG'],
  ['a profile that is no group', 'profiles: {x: 1}', 'profiles.x', 'CONFIG_SHAPE_WRONG'],
  [
    'profiles inside a profile',
    'profiles: {x: {profiles: {}}}',
    'profiles.x.profiles',
    'CONFIG_KEY_UNKNOWN',
  ],
])('checks %s', async (_what, content, key, code) => {
  expect((await load([], { 'a.yaml': content })).problems).toMatchObject([{ key, code }])
})

test('a value of a profile that is not asked for is not looked at; an empty one gives nothing', async () => {
  const loaded = await load(['y'], { 'a.yaml': 'profiles: {x: {log: {level: nope}}, y: }' })
  expect(loaded.problems).toEqual([])
})

test('without the option profiles is an unknown key, and a setting may have the name', async () => {
  expect((await load(undefined, FILES)).problems).toMatchObject([
    { code: 'CONFIG_KEY_UNKNOWN', key: 'profiles' },
    { code: 'CONFIG_KEY_UNKNOWN', key: 'profiles' },
  ])
  const own = defineSettings({
    envPrefix: 'X',
    tree: {
      profiles: objects({ a: setting(text(), { description: 'A.' }) }, { description: 'P.' }),
    },
  })
  expect((await loadSettings(own, { cwd: '/' })).ok).toBe(true)
  await expect(loadSettings(own, { cwd: '/', profiles: [] })).rejects.toThrow(TypeError)
})
