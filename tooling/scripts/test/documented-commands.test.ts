import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { accountOf, ACCOUNTS, commandBlocks } from '../src/documented-commands.mjs'
import { ROOT } from '../src/workspace.mjs'

const BLOCKS = commandBlocks()

test('each block of commands is run by something, or has a reason why not', () => {
  const unknown = BLOCKS.filter((block) => accountOf(block) === undefined)
  expect(unknown.map(({ file, name }) => `${file}: ${name}`)).toEqual([])
  expect(BLOCKS.length).toBeGreaterThan(50)
})

test('each account is of a block, and names a test that is there', () => {
  const stale = ACCOUNTS.filter(
    ([file, name]) =>
      !BLOCKS.some((block) => block.file === file && (name === '*' || block.name === name)),
  )
  expect(stale.map(([file, name]) => `${file}: ${name}`)).toEqual([])
  const missing = ACCOUNTS.flatMap(([, , { by, like }]) => by ?? like ?? []).filter(
    (by) => !existsSync(join(ROOT, by)),
  )
  expect(missing).toEqual([])
})
