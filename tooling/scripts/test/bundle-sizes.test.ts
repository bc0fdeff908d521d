import { expect, test } from 'vitest'

import { bundleProblems, readmeSizeProblems, sizeSentence } from '../src/bundle-sizes.mjs'
import { workspaceFixture } from './workspace-fixture.ts'

const LIMITS = {
  '@proj/one': { '*': [8, 3], small: [1, 1], later: [1, 1], './part': [1, 1] },
} as const
/** Some 3 kB that a bundler cannot leave out or shorten. */
const LARGE = Array.from({ length: 500 }, (_, index) => `f(${index})`).join(',')

function installed(index: string) {
  return workspaceFixture({
    'node_modules/@proj/one/package.json': {
      name: '@proj/one',
      type: 'module',
      exports: { '.': './index.js', './part': './part.js' },
    },
    'node_modules/@proj/one/index.js': index,
    'node_modules/@proj/one/later.js': `export const later = [${LARGE}]\n`,
    'node_modules/@proj/one/part.js': 'export const part = 1\n',
    'README.md': `# One\n\nESM. ${sizeSentence(LIMITS['@proj/one'])}\n`,
  })
}

const good = `export const later = () => import('./later.js')
const f = (n) => n * Math.random()
export const large = () => [${LARGE}]
export const small = () => 1
`

test('sizes within the limits hold, and stand in the README', async () => {
  using folder = installed(good)
  expect(await bundleProblems(folder.path, '@proj/one', LIMITS)).toEqual([])
  expect(readmeSizeProblems(folder.path, '@proj/one', LIMITS)).toEqual([])
  expect(sizeSentence(LIMITS['@proj/one'])).toBe(
    'In a bundle, with dependencies, minified (with gzip), at most: everything 8 kB (3 kB), `/part` 1 kB (1 kB). Loaded at the start when only one name is imported: `small` 1 kB (1 kB), `later` 1 kB (1 kB).',
  )
})

const small = `export const small = () => large()\n`
const changed = (row: Readonly<Record<string, readonly [number, number]>>) => ({
  '@proj/one': { ...LIMITS['@proj/one'], ...row },
})

test.for([
  [
    'a package that is larger',
    good + `export const more = () => [${LARGE}]\n`,
    LIMITS,
    /one \*: .* minified, .* says 8: too large/,
  ],
  [
    'a name that needs all of it',
    good.replace(/export const small.*\n/, small),
    LIMITS,
    /one small: .* kB minified, .* says 1: too large/,
  ],
  [
    'work while a module loads',
    `${good}globalThis.started = [${LARGE}]\n`,
    LIMITS,
    /one: \d\.\d kB stay in a program that uses nothing of it/,
  ],
  [
    'a limit that says nothing',
    good,
    changed({ '*': [40, 2] }),
    /one \*: .* says 40: lower the limit/,
  ],
  ['a package without limits', good, {}, /bundle-limits\.json has no row \* for @proj\/one/],
] as const)('%s is found', async ([, index, limits, problem]) => {
  using folder = installed(index)
  const problems = await bundleProblems(folder.path, '@proj/one', limits)
  expect(problems.join('\n')).toMatch(problem)
})

test('a name or a subpath that is not there is an error, not a small size', async () => {
  using folder = installed(good)
  for (const row of ['gone', './gone']) {
    const limits = changed({ [row]: [1, 1] })
    await expect(bundleProblems(folder.path, '@proj/one', limits)).rejects.toThrow(/gone/)
  }
})

test('a README with other numbers is found', () => {
  using folder = installed(good)
  const problems = readmeSizeProblems(folder.path, '@proj/one', changed({ small: [2, 1] }))
  expect(problems).toEqual([expect.stringContaining('`small` 2 kB (1 kB)')])
})
