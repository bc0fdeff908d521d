// Each rule fails on a bad fixture, and passes on the same fixture made good.
import { expect, test } from 'vitest'
import { checkWorkflows } from '../src/check-workflows.mjs'
import { problems } from './problems.ts'

const FILE = '.github/workflows/ci.yml'
const COMMIT = '0a'.repeat(20)
const GOOD = `
on: push
permissions:
  contents: read
jobs:
  build:
    timeout-minutes: 60
    strategy:
      matrix:
        node: ['20.20', "26"]
    steps:
      - uses: actions/setup-node@${COMMIT} # v5
        with:
          node-version: \${{ matrix.node }}
      - uses: ./.github/actions/own
      - run: sudo env CI=true bash .ci/run </dev/null
      - run: |
          npx -y pnpm@10 install --frozen-lockfile
          pnpm --filter @proj/mux test && npm run lint
  last:
    needs: [build]
    uses: a/b/.github/workflows/c.yml@${COMMIT}
`
const found = (workflow: string, shell = '# what pnpm nothing does\npnpm lint\n') =>
  problems(checkWorkflows, {
    'package.json': { scripts: { lint: 'x' } },
    'packages/mux/package.json': { name: '@proj/mux', scripts: { test: 'x' } },
    '.ci/run': shell,
    [FILE]: workflow,
  })

test('a good workflow, and none at all', () => {
  expect(found(GOOD)).toEqual([])
  expect(problems(checkWorkflows, {})).toEqual([])
})

test.each([
  [
    'on: push',
    'on: pull_request_target',
    ['pull_request_target runs code of others with our rights'],
  ],
  [
    'permissions:\n  contents: read\n',
    '',
    ['names no permissions: jobs get those of the repository'],
  ],
  ['contents: read', 'contents: write', ['permissions to write belong to a job']],
  [
    'on: push\npermissions:\n  contents: read\njobs:\n  build:',
    'on: [push, pull_request]\npermissions: {}\njobs:\n  build:\n    permissions:\n      id-token: write',
    ['job build may write, and pull requests start it'],
  ],
  ["'20.20'", '20.20', ['node: 20.20 is not quoted', '20.20 is the number 20.2: quote it']],
  ['"26"', '26', ['node: 26 is not quoted']],
  ['"26"', 'lts/*', ['node: lts/* is not quoted']],
  ['${{ matrix.node }}', '20', ['node-version: 20 is not quoted']],
  ['timeout-minutes: 60', 'timeout-minutes: 1.10', ['1.10 is the number 1.1: quote it']],
  [`setup-node@${COMMIT}`, 'setup-node@v5', ['actions/setup-node@v5 is not pinned to a commit']],
  [`c.yml@${COMMIT}`, 'c.yml@main', ['a/b/.github/workflows/c.yml@main is not pinned to a commit']],
  ['needs: [build]', 'needs: [build, tests]', ['job last needs tests, which is no job']],
  ['needs: [build]', 'needs: tests', ['job last needs tests, which is no job']],
  ['npm run lint', 'npm run lnt', ['npm run lnt: package.json has no such script']],
  ['npm run lint', 'pnpm test', ['pnpm test: package.json has no such script']],
  [
    '@proj/mux test',
    '@proj/mux tets',
    ['pnpm --filter @proj/mux tets: package.json has no such script'],
  ],
  [
    '@proj/mux test',
    '@proj/max test',
    ['pnpm --filter @proj/max test: package.json has no such script'],
  ],
  ['bash .ci/run', 'bash .ci/runs', ['bash .ci/runs: there is no such file']],
])('%s made %s is refused', (good, bad, expected) => {
  expect(GOOD).toContain(good)
  expect(found(GOOD.replace(good, bad))).toEqual(expected.map((problem) => `${FILE}: ${problem}`))
})

test('a shell file that a step starts is read, too', () => {
  expect(found(GOOD, 'step lint npx -y pnpm@10 lnt\n')).toEqual([
    `${FILE}: pnpm@10 lnt: package.json has no such script`,
  ])
})

test('what is no workflow is refused', () => {
  expect(found('jobs: [\n')).toEqual([expect.stringContaining(`${FILE}: Flow sequence`)])
  expect(found('on: push\n')).toEqual([`${FILE}: has no jobs`])
  expect(found('')).toEqual([`${FILE}: has no jobs`])
})
