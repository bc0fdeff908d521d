/** Files of other programs, or of an attacker: many keys, many mistakes. */
import { describe, expect, test } from 'vitest'

import { loadSettings } from '../../src/index.ts'
import { settings } from '../fixtures/sample.ts'
import { Workspace } from '../fixtures/workspace.ts'

async function load(content: string) {
  using files = new Workspace({ 'a.yaml': content })
  return await loadSettings(settings, { cwd: files.path, files: ['a.yaml'] })
}

describe('a file', () => {
  // With a comparison of each key with all before it, this would take minutes.
  test('with 20000 keys, also merged, is read; 100 unknown ones are reported', async () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => ` k${index}: 1\n`).join('')
    const { ok, problems } = await load(`x: &x\n${keys}log:\n <<: *x\n`)
    expect([ok, problems.length]).toEqual([false, 101])
    expect(problems.map(({ message }) => message)).toContain(
      '19901 more unknown keys are not listed',
    )
  }, 60_000)

  test('with more mistakes than a call has arguments', async () => {
    const items = Array.from({ length: 150_000 }, () => '- *x\n').join('')
    const { ok, problems } = await load(`listeners:\n${items}`)
    expect([ok, problems.length >= 150_000]).toEqual([false, true])
  }, 60_000)

  test('with a merge key twice', async () => {
    const { problems } = await load('log: {<<: {level: info}, <<: {level: info}}\n')
    expect(problems.map(({ message }) => message)).toEqual(['the key "<<" occurs twice'])
  })

  test('with merge keys below merge keys', async () => {
    const { problems } = await load(`log: ${'{<<: '.repeat(40)}{}${'}'.repeat(40)}\n`)
    expect(problems.map(({ code }) => code)).toEqual(['CONFIG_FILE_TOO_LARGE'])
  })
})
