// @ts-check
// `pnpm check`: everything but the tests that a change has to pass, what takes seconds first. One
// failing part does not hide the others.
import { run, turbo } from './run.mjs'

const PARTS = [
  { name: 'lint', start: () => run('pnpm', ['lint']) },
  { name: 'format', start: () => run('pnpm', ['format:check']) },
  { name: 'house rules', start: () => run('node', ['tooling/scripts/src/check-all.mjs']) },
  { name: 'knip', start: () => run('pnpm', ['knip']) },
  { name: 'types', start: () => turbo(['typecheck', '--output-logs=errors-only']) },
  { name: 'site', start: () => run('pnpm', ['--silent', 'site']) },
  { name: 'packages', start: () => run('pnpm', ['check:pack']) },
]

/** @type {string[]} */
const failed = []
for (const { name, start } of PARTS) {
  console.log(`\n--> ${name}`)
  if ((await start()) !== 0) failed.push(name)
}
console.log(failed.length === 0 ? '\nall checks passed' : `\nfailed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
