import { chmodSync } from 'node:fs'
import { expect, test } from 'vitest'
import { missingPrograms } from '../src/programs.mjs'
import { workspaceFixture } from './workspace-fixture.ts'

test('a program is there only if it is executable', () => {
  using folder = workspaceFixture({ here: '', 'no-program': '' })
  chmodSync(`${folder.path}/here`, 0o755)
  const named = (name: string) => ({ name, debian: name, usedFor: 'nothing' })
  const programs = ['here', 'no-program', 'absent'].map(named)
  expect(missingPrograms(programs, folder.path).map(({ name }) => name)).toEqual([
    'no-program',
    'absent',
  ])
})
