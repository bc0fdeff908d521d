import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { spawned } from '@proj/testkit/spawned'

// inside the package, so that vitest and the preset can be imported from there
const folder = join(import.meta.dirname, '../.reports/fixture')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

// a vitest of its own: seconds alone, more on a machine that is busy
const LIMIT_MS = 120_000

const CASES = `
import { test } from 'vitest'
test('passes', () => {})
test('fails', () => { throw new Error('broken') })
test('skips itself', ({ skip }) => skip('no nginx here'))
test.skip('is skipped without a reason', () => {})
test.todo('is to come')
`
const REJECTS = `
import { test } from 'vitest'
test('passes', () => { for (const _ of '12') Promise.reject(new Error('is not handled')) })
`
// what a time limit ended, and what only looks like it
const LIMITS = `
import { beforeEach, describe, expect, test } from 'vitest'
import { until, untilEvent } from '@proj/testkit/until'
import { EventEmitter } from 'node:events'
test('has a limit', { timeout: 20 }, () => new Promise(() => {}))
test('blocks past its limit', { timeout: 20 }, () => {
  for (const end = performance.now() + 40; performance.now() < end; );
})
test('waits for a fact', () => until(() => false, { timeoutMs: 30 }))
test('waits for an event', () => untilEvent(new EventEmitter(), 'x', { timeoutMs: 40 }))
test('tells of a limit', () => { throw new Error('Test timed out in 20ms.') })
test('waits and sees a wrong fact', async () => {
  expect.soft(1).toBe(2)
  await until(() => false, { timeoutMs: 30 })
})
test('sees a wrong fact after a while', { timeout: 5000 }, async () => {
  await until(() => true)
  expect(1).toBe(2)
})
test('fails at length', () => {
  expect(1, 'a\\n'.repeat(90)).toBe(2)
})
`
const WAITS_IN_HOOK = `
import { beforeAll, test } from 'vitest'
import { until } from '@proj/testkit/until'
beforeAll(() => until(() => false, { timeoutMs: 50 }))
test('never runs', () => {})
`

test(
  'a run reports failures, broken files, unhandled errors, and skips with their reason',
  async () => {
    const report = await reportOf({ a: CASES, b: `import './absent.ts'`, c: REJECTS })
    expect(report.passed).toBe(2)
    expect(report.failed).toEqual([
      { test: 'a.case.ts > fails', error: expect.stringMatching(/^Error: broken\n +at .*a\.case/) },
      { test: 'b.case.ts: the file itself', error: expect.stringContaining('./absent.ts') },
      {
        test: 'outside of any test: is not handled',
        error: expect.stringMatching(/^Error: is not handled\n +at .*c\.case/),
      },
    ])
    expect(report.outOfTime).toEqual([])
    expect(report.skipped).toEqual([
      { test: 'a.case.ts > skips itself', reason: 'no nginx here' },
      { test: 'a.case.ts > is skipped without a reason' },
      { test: 'a.case.ts > is to come', reason: 'to be written' },
    ])
  },
  LIMIT_MS,
)

test(
  'what a time limit ended is reported apart from wrong facts',
  async () => {
    const report = await reportOf({ d: LIMITS, e: WAITS_IN_HOOK })
    const outOfTime = report.outOfTime.map(({ test: name, limitMs }) => ({ test: name, limitMs }))
    expect(outOfTime).toEqual([
      { test: 'd.case.ts > has a limit', limitMs: 20 },
      { test: 'd.case.ts > blocks past its limit', limitMs: 20 },
      { test: 'd.case.ts > waits for a fact', limitMs: 30 },
      { test: 'd.case.ts > waits for an event', limitMs: 40 },
      { test: 'e.case.ts: the file itself', limitMs: 50 },
    ])
    expect(report.failed.map(({ test: name }) => name)).toEqual([
      'd.case.ts > tells of a limit',
      'd.case.ts > waits and sees a wrong fact',
      'd.case.ts > sees a wrong fact after a while',
      'd.case.ts > fails at length',
    ])
    const { error } = report.failed.at(-1) ?? {}
    expect(error).toMatch(/^AssertionError: a\na\n(.*\n){38}\(\d+ more lines\)$/)
  },
  LIMIT_MS,
)

/** Runs files of test cases, by the name before `.case.ts`, and returns what the run reported. */
async function reportOf(files: Readonly<Record<string, string>>) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const config = `import { preset } from '@proj/vitest-config'
export default preset({ include: ['*.case.ts'], report: 'out' })`
  writeFileSync(join(folder, 'vitest.config.ts'), config)
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, `${name}.case.ts`), text)
  }
  const vitest = join(import.meta.dirname, '../node_modules/.bin/vitest')
  const { exited } = spawned(vitest, ['run', '--root', folder], { cwd: folder })
  expect((await exited).code).toBe(1)
  return JSON.parse(readFileSync(join(folder, '.reports/out.json'), 'utf8')) as {
    passed: number
    failed: { test: string; error?: string }[]
    outOfTime: { test: string; limitMs: number }[]
    skipped: object[]
  }
}
