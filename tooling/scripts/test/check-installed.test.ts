import { expect, test } from 'vitest'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { checkWeight } from '../src/check-installed.mjs'

const LIMITS = { agent: { packages: 2, megabytes: 0.2 } }

test('an installation within its limits is told, one above them is found', () => {
  using folder = temporaryDirectory()
  const add = (name: string, bytes: number): string => folder.write(name, 'x'.repeat(bytes))
  const weigh = (): string => checkWeight('agent', `${folder.path}/node_modules`, LIMITS)
  add('node_modules/@a/agent/package.json', 1_000)
  add('node_modules/@a/agent/dist/package.json', 1_000) // no package
  add('node_modules/@a/agent/node_modules/b/package.json', 1_000)
  expect(weigh()).toBe('agent: 2 packages, 0.1 MB')
  add('node_modules/@a/agent/node_modules/b/large.js', 250_000)
  expect(weigh).toThrow(/^agent: 2 packages, 0\.3 MB, and .* allows/)
  add('node_modules/@a/agent/node_modules/b/large.js', 1)
  add('node_modules/c/package.json', 1)
  expect(weigh).toThrow(/^agent: 3 packages, /)
})
