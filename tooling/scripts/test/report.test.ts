import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { spawned } from '@proj/testkit/spawned'

// inside the package, so that vitest and the preset can be imported from there
const folder = join(import.meta.dirname, '../.reports/fixture')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const CASES = `
import { test } from 'vitest'
test('passes', () => {})
test('fails', () => { throw new Error('broken') })
test('skips itself', ({ skip }) => skip('no nginx here'))
test.skip('is skipped by nobody knows whom', () => {})
test.todo('is to come')
`
const REJECTS = `
import { test } from 'vitest'
test('passes', () => { for (const _ of '12') Promise.reject(new Error('nobody cared')) })
`

test('a run reports failures, broken files, unhandled errors, and skips with their reason', async () => {
  mkdirSync(folder, { recursive: true })
  const config = `import { preset } from '@proj/vitest-config'
export default preset({ include: ['*.case.ts'], report: 'out' })`
  writeFileSync(join(folder, 'vitest.config.ts'), config)
  writeFileSync(join(folder, 'a.case.ts'), CASES)
  writeFileSync(join(folder, 'b.case.ts'), `import './absent.ts'`)
  writeFileSync(join(folder, 'c.case.ts'), REJECTS)
  const vitest = join(import.meta.dirname, '../node_modules/.bin/vitest')
  const { exited } = spawned(vitest, ['run', '--root', folder], { cwd: folder })
  expect((await exited).code).toBe(1)
  const report = JSON.parse(readFileSync(join(folder, '.reports/out.json'), 'utf8'))
  expect(report.passed).toBe(2)
  expect(report.failed).toEqual([
    'a.case.ts > fails',
    'b.case.ts: the file itself',
    'outside of any test: nobody cared',
  ])
  expect(report.skipped).toEqual([
    { test: 'a.case.ts > skips itself', reason: 'no nginx here' },
    { test: 'a.case.ts > is skipped by nobody knows whom' },
    { test: 'a.case.ts > is to come', reason: 'to be written' },
  ])
}, 30_000)
