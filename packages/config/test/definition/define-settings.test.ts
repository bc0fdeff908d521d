import { expect, test } from 'vitest'

import {
  boolean,
  defineSettings,
  duration,
  integer,
  list,
  objects,
  secret,
  setting,
  size,
  text,
  type SettingsTree,
} from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'

const description = 'x'

function define(tree: SettingsTree) {
  return defineSettings({ envPrefix: 'ADIT', tree })
}

test('derives key, flag and variable from the property path', () => {
  const names = settings.entries.map(({ key, flag, variable }) => [key, flag, variable])
  expect(names).toEqual(
    expect.arrayContaining([
      ['connect.bind_addr', 'connect.bind-addr', 'ADIT_CONNECT_BIND_ADDR'],
      ['connect.timeout', 'connect.timeout', 'ADIT_CONNECT_TIMEOUT'],
      ['connect.tls.root_cas', 'connect.tls.root-cas', 'ADIT_CONNECT_TLS_ROOT_CAS'],
      ['max_head', 'max-head', 'ADIT_MAX_HEAD'],
      ['listeners', 'listeners', 'ADIT_LISTENERS'],
    ]),
  )
})

test('takes a group whose member is called kind', () => {
  expect(define({ a: { kind: setting(text(), { description }) } }).entries[0]?.key).toBe('a.kind')
})

test.each<[string, SettingsTree, string]>([
  [
    'two names that become one variable',
    { aB: setting(text(), { description }), a: { b: setting(text(), { description }) } },
    'a.b and a_b are both called ADIT_A_B',
  ],
  [
    'a name that is taken by the file of a secret',
    { a: setting(secret(), { description }), aFile: setting(text(), { description }) },
    'a_file and a are both called a_file',
  ],
  [
    'a name in snake case',
    { a_b: setting(text(), { description }) },
    'a_b is not a camelCase name',
  ],
  [
    'a duration without its unit',
    { timeout: setting(duration(), { description }) },
    'timeout is a duration: its name must end with Ms',
  ],
  [
    'a size that is called by its unit alone',
    { Bytes: setting(size(), { description }) },
    'Bytes is not a camelCase name',
  ],
  [
    'a default that its type refuses',
    { a: setting(integer({ max: 1 }), { default: '2', description }) },
    'the default of a is refused by its type',
  ],
  [
    'a default in a list that its type refuses',
    { a: setting(list(integer()), { default: ['1', 'x'], description }) },
    'the default of a is refused by its type',
  ],
  [
    'a default of what is required',
    { a: setting(text(), { default: '2', required: true, description }) },
    'a is required and has a default',
  ],
  [
    'a secret in the source code',
    { a: setting(secret(), { default: 'x', description }) },
    'a is a secret and has a default',
  ],
  [
    'a short flag of two letters',
    { a: setting(boolean(), { short: 'ab', description }) },
    'a: a short flag is one letter, got ab',
  ],
  [
    'a mistake inside a list of objects',
    { a: objects({ waitMs: setting(duration(), { default: 'x', description }) }, { description }) },
    'the default of wait is refused by its type',
  ],
])('refuses %s', (_what, tree, message) => {
  expect(() => define(tree)).toThrow(new TypeError(message))
})

test('takes a default and the ends of a range as numbers, and shows them as people write them', () => {
  const timeoutMs = setting(duration({ min: 10, max: 90_000 }), { default: 75_000, description })
  const maxHeadBytes = setting(size({ min: '1KiB' }), { default: 32_768, description })
  const [first, second] = define({ timeoutMs, maxHeadBytes }).entries
  expect(first?.node).toMatchObject({
    type: { allowed: 'a duration such as 30s or 1m30s, at least 10ms, at most 1m30s' },
    options: { default: '1m15s' },
  })
  expect(second?.node).toMatchObject({ options: { default: '32KiB' } })
  expect(() =>
    define({ aMs: setting(duration({ max: 10 }), { default: 11, description }) }),
  ).toThrow('the default of a is refused by its type')
})
