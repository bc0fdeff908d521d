// Every rule is seen to fail on a bad fixture, and to be silent once it is good.
import { expect, test } from 'vitest'
import { checkWords } from '../src/check-words.mjs'
import { problems } from './problems.ts'

// put together here, so that this file may be checked too
test.each([
  ['/wor', 'k/main/x'],
  ['/hom', 'e/someone'],
  ['/roo', 't/x'],
  ['/tm', 'p/adit/x'],
  ['https://regist', 'ry.example.com/x'],
  ['regist', 'ry.yarnpkg.com'],
  ['npm', 'js.org'],
  ['issue', 's show 2'],
  ['Clau', 'de'],
  ['written by A', 'I'],
  ['Copi', 'lot'],
])('%s%s is found in text', (start, end) => {
  const found = problems(checkWords, { 'docs/a.md': `fine\nwe use ${start}${end} here\n` })
  expect(found).toEqual(expect.arrayContaining([expect.stringContaining('docs/a.md:2: a ')]))
})

test('a file name counts', () => {
  expect(problems(checkWords, { [['docs/CLAU', 'DE.md'].join('')]: '' })).toHaveLength(1)
})

test('agents, sessions and registries of the tunnel are our own words', () => {
  const text = 'The agent opens a session; the registry.list() has it. See /tmp and email again.'
  expect(problems(checkWords, { 'docs/a.md': text })).toEqual([])
})
