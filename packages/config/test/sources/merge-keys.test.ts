/** The merge key of YAML (https://yaml.org/type/merge.html): `<<: *name`. */
import { describe, expect, test } from 'vitest'

import { loadSettings } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

async function load(content: string) {
  using files = new Workspace({ 'a.yaml': content })
  return await loadSettings(settings, { cwd: files.path, files: ['a.yaml'] })
}

describe('<<', () => {
  test.each([
    ['adds the keys of another group', '- &a {endpoint: x, addr: 1}\n- {<<: *a, endpoint: y}', '1'],
    [
      'stands behind the own keys',
      '- &a {endpoint: x, addr: 1}\n- {endpoint: y, addr: 2, <<: *a}',
      '2',
    ],
    [
      'stands before the own keys',
      '- &a {endpoint: x, addr: 1}\n- {<<: *a, endpoint: y, addr: 2}',
      '2',
    ],
    [
      'takes the first of several groups',
      '- &a {endpoint: x, addr: 1}\n- {<<: [{addr: 3}, *a], endpoint: y}',
      '3',
    ],
    [
      'follows what was merged itself',
      '- &a {endpoint: x, addr: 1}\n- &b {<<: *a, endpoint: z, protocol: tcp}\n- {<<: *b, endpoint: y}',
      '1',
    ],
    ['may be empty', '- {endpoint: x, addr: 1}\n- {<<: {}, endpoint: y, addr: 4}', '4'],
  ])('%s', async (_what, list, port) => {
    const loaded = await load(`listeners:\n${list}\n`)
    expect(loaded.problems).toEqual([])
    const last = loaded.ok ? loaded.settings.listeners.at(-1) : undefined
    expect([last?.endpoint, String(last?.addr.kind === 'tcp' && last.addr.port)]).toEqual([
      'y',
      port,
    ])
  })

  test('keeps the place of a merged value for its mistakes', async () => {
    const { problems } = await load(
      'listeners:\n- &a {endpoint: x, addr: nope}\n- {<<: *a, endpoint: y}\n',
    )
    expect(
      problems.map(({ key, origin }) => [key, origin?.kind === 'file' && origin.line]),
    ).toEqual([
      ['listeners[0].addr', 2],
      ['listeners[1].addr', 2],
    ])
  })

  test.each([
    ['a single value', 'connect: {<<: x}'],
    ['an empty value', 'connect: {<<: }'],
    ['a list of single values', 'connect: {<<: [x]}'],
    ['a list inside a list', 'connect: {<<: [[{url: http://a}]]}'],
  ])('with %s is refused at its place', async (_what, content) => {
    const { problems } = await load(content)
    expect(problems).toMatchObject([
      {
        code: 'CONFIG_FILE_SYNTAX',
        origin: { line: 1, column: 11 },
        message: 'what << refers to is no group of keys',
      },
    ])
  })

  test.each([
    ['twice', 'connect: {<<: {}, <<: {}}', 'CONFIG_FILE_SYNTAX'],
    ['in quotes', 'connect: {"<<": {url: http://a}}', 'CONFIG_KEY_UNKNOWN'],
  ])('%s is an error', async (_what, content, code) => {
    expect((await load(content)).problems).toMatchObject([{ code }])
  })

  test.each([
    [
      'lines that stand for billions of values',
      `a0: &a0 {k: 1}\n${Array.from({ length: 24 }, (_, i) => `a${i + 1}: &a${i + 1} {<<: [${`*a${i},`.repeat(9)}]}`).join('\n')}`,
    ],
    ['a group that merges itself', 'a: &a {<<: *a}'],
    [
      'forty groups that merge one another',
      `a0: &a0 {k: 1}\n${Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} {<<: *a${i}}`).join('\n')}`,
    ],
  ])(
    'is refused for %s',
    async (_what, content) => {
      expect((await load(content)).problems).toMatchObject([{ code: 'CONFIG_FILE_TOO_LARGE' }])
    },
    30_000,
  )
})
