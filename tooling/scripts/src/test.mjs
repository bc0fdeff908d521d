// @ts-check
// `pnpm test`: builds, runs every test of every package, and ends with one line of counts.
// Unit and wire tests of all packages first (seconds), then the end-to-end tests of the apps, one
// app at a time so that they have the machine to themselves.
import { missingPrograms } from './programs.mjs'
import { turbo } from './run.mjs'
import { clearReports, formatSummary, hasFailures, summarise } from './test-summary.mjs'
import { ROOT } from './workspace.mjs'

const warnings = missingPrograms().map(
  ({ name, debian, usedFor }) => `${name} is not installed (Debian package ${debian}): ${usedFor}`,
)

// the longest property tests run a part of their cases unless they are told to run all
process.env['ADIT_FULL_TESTS'] ??= '1'
clearReports(ROOT)
const steps = [
  { name: 'build', args: ['build', '--output-logs=errors-only'] },
  {
    name: 'unit and wire',
    args: ['test', '--continue=always', '--concurrency=2', '--output-logs=new-only'],
  },
  {
    name: 'end to end',
    args: [
      'test:e2e',
      '--continue=dependencies-successful',
      '--concurrency=1',
      '--output-logs=new-only',
    ],
  },
]
const codes = []
const times = []
for (const { name, args } of steps) {
  const started = performance.now()
  codes.push(await turbo(args))
  times.push(`${name} ${Math.round((performance.now() - started) / 1000)} s`)
}
const summary = summarise(ROOT)
if (!hasFailures(summary) && codes.some((code) => code !== 0)) {
  summary.failed.push({ test: 'a step above failed outside of the tests' })
}
console.log(`\nTIME     ${times.join(', ')}`)
console.log(formatSummary(summary, warnings))
process.exitCode = hasFailures(summary) ? 1 : 0
