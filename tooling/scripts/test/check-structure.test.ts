// Each rule fails on a bad fixture, and passes on the same fixture made good.
import { expect, test } from 'vitest'
import { checkStructure } from '../src/check-structure.mjs'
import { problems } from './problems.ts'
import { MUX, type Files } from './workspace-fixture.ts'

const README = ['Install', 'API', 'Options', 'Errors', 'Limits', 'How it works', 'Licence']
  .map((section) => `## ${section}\n${'\n'.repeat(9)}`)
  .join('')
const good: Files = {
  'packages/mux/package.json': MUX,
  'packages/mux/README.md': README,
  'packages/mux/src/session.ts': 'export const a = 1\n',
}
const with_ = (files: Files) => problems(checkStructure, { ...good, ...files })

test('a package that follows the rules has no problems', () => expect(with_({})).toEqual([]))

test.each([
  ['session.ts', 'x\n'.repeat(401), '401 lines: above 400 a file says'],
  ['session.ts', `// Length:\n${'x\n'.repeat(400)}`, '401 lines: above 400 a file says'],
  ['session.ts', '// Length: one state machine\nx\n', 'not needed any more'],
  ['session.ts', 'export * from "./x.ts"\n', 'export * hides'],
  ['session.ts', '// TODO: later\n', 'names its issue'],
  ['session.ts', '// oxlint-disable-next-line no-console\n', 'without a reason'],
  ['session.ts', '// @ts-expect-error\nx\n', 'without a reason'],
  ['types.ts', '', 'a bag of things'],
  ['utils.ts', '', 'a bag of things'],
  ['fooBar.ts', '', 'kebab-case'],
  ['deep/index.ts', '', 'only directly below src'],
])('%s is refused: %#', (file, text, problem) => {
  expect(with_({ [`packages/mux/src/${file}`]: text })).toEqual([expect.stringContaining(problem)])
})

test('a rule switched off with a reason is fine', () => {
  const text = '// oxlint-disable-next-line no-console -- a program\n// @ts-expect-error no types\n'
  expect(with_({ 'packages/mux/src/a.ts': text })).toEqual([])
})

test('400 lines, many exports, a long file with its reason, and a task with its issue are fine', () => {
  const exports_ = Array.from({ length: 30 }, (_, n) => `export const a${n} = 1\n`).join('')
  expect(with_({ 'packages/mux/src/a.ts': `${exports_}${'x\n'.repeat(370)}` })).toEqual([])
  const long = `// Length: the states share their fields\n${'x\n'.repeat(400)}`
  expect(with_({ 'packages/mux/src/a.ts': long })).toEqual([])
  expect(with_({ 'packages/mux/src/a.ts': '// TODO(#7): later\n' })).toEqual([])
})

test('an index.ts that is an entry point may lie deeper', () => {
  const exports_ = { './deep': { '@proj/source': './src/deep/index.ts' } }
  const files = { 'packages/mux/src/deep/index.ts': '' }
  expect(with_({ ...files, 'packages/mux/package.json': { ...MUX, exports: exports_ } })).toEqual(
    [],
  )
})

test.each([
  [{ ...MUX, name: '@proj/other' }, 'not after its folder'],
  [{ ...MUX, scripts: { ...MUX.scripts, tset: 'x' } }, 'script "tset" is not one of'],
  [{ ...MUX, scripts: { ...MUX.scripts, clean: undefined } }, 'has no script "clean"'],
  [{ ...MUX, dependencies: { ws: '^8.0.0' } }, 'ws ^8.0.0: versions stand in the catalog'],
])('the manifest %j', (manifest, problem) => {
  const found = with_({ 'packages/mux/package.json': manifest })
  expect(found).toEqual([expect.stringContaining(problem)])
})

test('a folder needs its script', () => {
  const found = with_({ 'packages/mux/test/e2e/a.test.ts': '' })
  expect(found).toEqual([expect.stringContaining('no script "test:e2e"')])
  const tool = {
    'tooling/x/package.json': { name: '@proj/x', private: true },
    'tooling/x/src/a.mjs': '',
  }
  expect(with_(tool)).toEqual([
    expect.stringContaining('no script "typecheck"'),
    expect.stringContaining('no script "lint"'),
  ])
})

test('a README has its sections and a length', () => {
  const found = with_({ 'packages/mux/README.md': README.replace('## Errors', '## Oops') })
  expect(found).toEqual([expect.stringContaining('no section "## Errors"')])
  const short = with_({ 'packages/mux/README.md': README.replaceAll(/\n+/g, '\n') })
  expect(short).toEqual([expect.stringContaining('7 lines, not 60 to 200')])
})
