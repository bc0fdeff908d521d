/** Schemas of two libraries as types of settings. */
import * as v from 'valibot'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { z } from 'zod'

import { defineSettings, list, loadSettings, setting, standard } from '../../src/index.ts'

const description = 'A value.'
const settings = defineSettings({
  envPrefix: 'APP',
  tree: {
    mail: setting(standard(z.email(), { allowed: 'an e-mail address' }), { description }),
    port: setting(
      standard(z.number().int().max(65_535), {
        allowed: 'a port',
        reads: 'json',
        schema: { type: 'integer' },
      }),
      { default: '80', description },
    ),
    names: setting(list(standard(v.pipe(v.string(), v.minLength(2)), { allowed: 'two letters' })), {
      default: [],
      description,
    }),
    limits: setting(
      standard(v.object({ soft: v.number(), hard: v.number() }), {
        allowed: 'limits',
        reads: 'json',
      }),
      { description },
    ),
    upper: setting(
      standard(
        z.string().transform((text) => text.toUpperCase()),
        { allowed: 'text' },
      ),
      {
        description,
      },
    ),
  },
})

test('values have the type and the value that the schema makes', async () => {
  const env = {
    APP_MAIL: 'a@example.com',
    APP_PORT: '443',
    APP_NAMES: 'ab,"c,d"',
    APP_LIMITS: '{"soft":1,"hard":2}',
    APP_UPPER: 'x',
  }
  const loaded = await loadSettings(settings, { cwd: '/', env })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  expectTypeOf(loaded.settings.port).toEqualTypeOf<number>()
  expectTypeOf(loaded.settings.limits).toEqualTypeOf<{ soft: number; hard: number } | undefined>()
  expectTypeOf(loaded.settings.names).toEqualTypeOf<readonly string[]>()
  expect(loaded.settings).toEqual({
    mail: 'a@example.com',
    port: 443,
    names: ['ab', 'c,d'],
    limits: { soft: 1, hard: 2 },
    upper: 'X',
  })
  expect(loaded.values.map(({ text }) => text)).toEqual([
    'a@example.com',
    '443',
    'ab, "c,d"',
    '{"soft":1,"hard":2}',
    'X',
  ])
})

describe('a mistake', () => {
  test.each([
    [{ APP_MAIL: 'x' }, 'mail', 'Invalid email address', 'an e-mail address'],
    [{ APP_PORT: '70000' }, 'port', 'Too big: expected number to be <=65535', 'a port'],
    [{ APP_PORT: '"80"' }, 'port', 'Invalid input: expected number, received string', 'a port'],
    [{ APP_PORT: '0x10' }, 'port', 'the value is not JSON', 'a port'],
    [
      { APP_NAMES: 'ab,c' },
      'names[1]',
      'Invalid length: Expected >=2 but received 1',
      'two letters',
    ],
    [
      { APP_LIMITS: '{"soft":"1"}' },
      'limits',
      'soft: Invalid type: Expected number but received "1"; hard: Invalid key: Expected "hard" but received undefined',
      'limits',
    ],
  ])(
    '%j is said in the words of the schema, with key and origin',
    async (env, key, message, allowed) => {
      const { problems } = await loadSettings(settings, { cwd: '/', env })
      expect(problems).toMatchObject([
        { code: 'CONFIG_VALUE_INVALID', key, message, allowed, origin: { kind: 'environment' } },
      ])
    },
  )

  test('with many issues names three', async () => {
    const many = z.object({
      a: z.string(),
      b: z.string(),
      c: z.string(),
      d: z.string(),
      e: z.string(),
    })
    const type = standard(many, { allowed: 'texts', reads: 'json' })
    expect(() => type.parse('{}', { baseDir: '/' })).toThrow(
      /^a: [^;]*; b: [^;]*; c: [^;]*; and 2 more$/,
    )
  })
})

test('a default is judged when settings are defined', () => {
  const type = standard(z.email(), { allowed: 'an e-mail address' })
  const tree = { mail: setting(type, { default: 'nobody', description }) }
  expect(() => defineSettings({ envPrefix: 'APP', tree })).toThrow('the default of mail is refused')
})

test('a schema with asynchronous checks is a mistake of the program', async () => {
  const type = standard(
    v.pipeAsync(
      v.string(),
      v.checkAsync(async () => await Promise.resolve(true)),
    ),
    { allowed: 'text' },
  )
  const later = defineSettings({ envPrefix: 'APP', tree: { a: setting(type, { description }) } })
  await expect(loadSettings(later, { cwd: '/', env: { APP_A: 'x' } })).rejects.toThrow(TypeError)
})
