import { defineSettings, formatProblems, loadSettings, secret, setting, text } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { pikoDialect, type PikoOptions, sameKeys } from '../../src/piko.ts'

const description = 'x'
const PROGRAM = { name: 'agent', keys: sameKeys(['connect.url', 'connect.token']) }
const settings = defineSettings({
  envPrefix: 'ADIT',
  tree: {
    connect: {
      url: setting(text(), { description }),
      token: setting(secret(), { description }),
    },
  },
})

async function load(
  content: string,
  options: PikoOptions = {},
  env: Readonly<Record<string, string>> = {},
) {
  using folder = temporaryDirectory()
  const path = folder.write('piko.yaml', content)
  const dialect = pikoDialect(PROGRAM, settings, options)
  return await loadSettings(settings, { cwd: '/cwd', files: [{ path, dialect }], env })
}

async function loadGood(...args: Parameters<typeof load>) {
  const loaded = await load(...args)
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return loaded
}

test('a file that is no mapping is refused', async () => {
  expect((await load('- a\n')).problems).toMatchObject([{ code: 'CONFIG_SHAPE_WRONG' }])
})

describe('variables', () => {
  const content = 'connect: {token: "$A-${B}-${C:x}-${D:y}"}\n'
  const env = { A: '1', B: '2', D: '4' }

  test('stand for themselves unless they are to be expanded', async () => {
    const { settings: values } = await loadGood(content, {}, env)
    expect(values.connect.token?.reveal()).toBe('$A-${B}-${C:x}-${D:y}')
  })

  test('are expanded as Piko does, per value', async () => {
    const { settings: values } = await loadGood(content, { expandEnv: true }, env)
    expect(values.connect.token?.reveal()).toBe('1-2-x-4')
    const unset = await loadGood('connect: {url: "${NONE}x$NONE"}', { expandEnv: true })
    expect(unset.settings.connect.url).toBe('x')
  })
})
