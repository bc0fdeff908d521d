import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { clearReports, formatSummary, hasFailures, summarise } from '../src/test-summary.mjs'
import { workspaceFixture } from './workspace-fixture.ts'

const manifest = (name: string) => ({ name, scripts: { test: 'x', 'test:e2e': 'x' } })
const report = (
  passed: number,
  failed: object[] = [],
  skipped: object[] = [],
  outOfTime: object[] = [],
) => ({ passed, failed, outOfTime, skipped })

test('adds up the reports of all packages and both kinds of runs', () => {
  using root = workspaceFixture({
    'packages/a/package.json': manifest('a'),
    'packages/a/test/x.test.ts': '',
    'packages/a/.reports/unit.json': report(
      3,
      [{ test: 'x.test.ts > breaks', error: 'Error: a' }],
      [],
      [{ test: 'x.test.ts > waits', limitMs: 4000 }],
    ),
    'apps/b/package.json': manifest('b'),
    'apps/b/test/e2e/y.test.ts': '',
    'apps/b/.reports/e2e.json': report(2, [], [{ test: 'y.test.ts > runs', reason: 'no nginx' }]),
  })
  expect(summarise(root.path)).toEqual({
    passed: 5,
    failed: [{ test: 'packages/a/x.test.ts > breaks', error: 'Error: a' }],
    outOfTime: [{ test: 'packages/a/x.test.ts > waits', limitMs: 4000 }],
    skipped: [{ test: 'apps/b/y.test.ts > runs', reason: 'no nginx' }],
  })
})

test('tests without a report, with a report of nothing or without a script are failures', () => {
  using root = workspaceFixture({
    'packages/crashed/package.json': manifest('crashed'),
    'packages/crashed/test/x.test.ts': '',
    'packages/empty/package.json': manifest('empty'),
    'packages/empty/test/x.test.ts': '',
    'packages/empty/.reports/unit.json': report(0),
    'packages/mute/package.json': { name: 'mute' },
    'packages/mute/test/x.test.ts': '',
  })
  expect(summarise(root.path).failed.map(({ test: name }) => name)).toEqual([
    'packages/crashed: the unit tests did not run to their end',
    'packages/empty: has unit test files, yet no test ran',
    'packages/mute: has unit tests but no script "test"',
  ])
})

test('a package without tests is not a failure', () => {
  using root = workspaceFixture({ 'packages/a/package.json': manifest('a') })
  expect(summarise(root.path)).toEqual({ passed: 0, failed: [], outOfTime: [], skipped: [] })
})

test('reports of an earlier run are removed', () => {
  using root = workspaceFixture({
    'packages/a/package.json': manifest('a'),
    'packages/a/.reports/unit.json': report(3),
  })
  clearReports(root.path)
  expect(existsSync(join(root.path, 'packages/a/.reports'))).toBe(false)
})

test('the last line is the counts, and a skipped test without a reason is called out', () => {
  const skipped = [{ test: 'a', reason: undefined }]
  const summary = { passed: 4, failed: [{ test: 'b' }], outOfTime: [], skipped }
  const lines = formatSummary(summary, ['no nginx']).split('\n')
  expect(lines).toContain('WARNING  no nginx')
  expect(lines).toContain('FAILED   b')
  expect(lines.join('\n')).toContain('SKIPPED  a\n         NO REASON GIVEN')
  expect(lines.at(-1)).toBe('4 passed, 1 failed, 1 skipped')
})

test('a time limit is told from a failed fact, and both are failures', () => {
  const outOfTime = [{ test: 'slow', limitMs: 2500 }]
  const failed = [{ test: 'wrong' }]
  const text = formatSummary({ passed: 4, failed, outOfTime, skipped: [] }, [])
  expect(text).toContain('FAILED   slow\n         ran out of time (limit 2.5 s)\nFAILED   wrong\n')
  expect(text).toContain('1 ran out of time: run those alone')
  expect(text.split('\n').at(-1)).toBe('4 passed, 2 failed, 0 skipped')
  const none = { passed: 4, failed: [], outOfTime: [], skipped: [] }
  expect(hasFailures({ ...none, outOfTime })).toBe(true)
  expect(hasFailures({ ...none, failed })).toBe(true)
  expect(hasFailures(none)).toBe(false)
  expect(formatSummary(none, [])).not.toContain('out of time')
})

test('what a failed test threw follows its name, for the first ones', () => {
  const failed = Array.from({ length: 12 }, (_, i) => ({ test: `t${i}`, error: `e${i}\nat ${i}` }))
  const outOfTime = [{ test: 'slow', limitMs: 1000, error: 'no answer' }]
  const text = formatSummary({ passed: 0, failed, outOfTime, skipped: [] }, [])
  expect(text).toContain(
    '(limit 1 s)\n         no answer\nFAILED   t0\n         e0\n         at 0\n',
  )
  expect(text).toContain('FAILED   t8\n         e8\n         at 8\nFAILED   t9\nFAILED   t10\n')
})

test('a run whose tests all ran out of time has run', () => {
  using root = workspaceFixture({
    'packages/a/package.json': manifest('a'),
    'packages/a/test/x.test.ts': '',
    'packages/a/.reports/unit.json': report(0, [], [], [{ test: 'x', limitMs: 1 }]),
  })
  expect(summarise(root.path)).toMatchObject({ failed: [], outOfTime: [{ test: 'packages/a/x' }] })
})
