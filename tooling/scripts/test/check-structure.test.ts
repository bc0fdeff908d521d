// Every rule is seen to fail on a bad fixture, and to be silent once it is good.
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

test('a package of the house has no problems', () => expect(with_({})).toEqual([]))

test.each([
  ['session.ts', 'x\n'.repeat(301), '301 lines, at most 300'],
  ['session.ts', 'export const a = 1\n'.replace('a', 'a1') + sixExports(), '7 exports, at most 5'],
  ['session.ts', 'export {\n  a,\n  b,\n  c,\n  d,\n  e,\n  f,\n} from "x"\n', '6 exports'],
  ['session.ts', 'export * from "./x.ts"\n', 'export * hides'],
  ['session.ts', '// TODO: later\n', 'names its issue'],
  ['session.ts', '// oxlint-disable-next-line no-console\n', 'without a reason'],
  ['session.ts', '// @ts-expect-error\nx\n', 'without a reason'],
  ['types.ts', '', 'a bag of things'],
  ['utils.ts', '', 'a bag of things'],
  ['fooBar.ts', '', 'kebab-case'],
  ['deep/index.ts', '', 'only directly below src'],
])('%s with %j', (file, text, problem) => {
  expect(with_({ [`packages/mux/src/${file}`]: text })).toEqual([expect.stringContaining(problem)])
})

test('a rule switched off with a reason is fine', () => {
  const text = '// oxlint-disable-next-line no-console -- a program\n// @ts-expect-error no types\n'
  expect(with_({ 'packages/mux/src/a.ts': text })).toEqual([])
})

test('300 lines, 5 exports, a task with its issue, and a declared table are fine', () => {
  const five = sixExports().split('\n').slice(0, 5).join('\n')
  expect(with_({ 'packages/mux/src/a.ts': `${five}\n${'x\n'.repeat(295)}` })).toEqual([])
  expect(with_({ 'packages/mux/src/a.ts': '// TODO(#7): later\n' })).toEqual([])
  const table = `// Table: one constant per code\n${sixExports()}${'x\n'.repeat(300)}`
  expect(with_({ 'packages/mux/src/a.ts': table })).toEqual([])
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

test('a test folder needs its script', () => {
  const found = with_({ 'packages/mux/test/e2e/a.test.ts': '' })
  expect(found).toEqual([expect.stringContaining('no script "test:e2e"')])
})

test('a README has its sections and a length', () => {
  const found = with_({ 'packages/mux/README.md': README.replace('## Errors', '## Oops') })
  expect(found).toEqual([expect.stringContaining('no section "## Errors"')])
  const short = with_({ 'packages/mux/README.md': README.replaceAll(/\n+/g, '\n') })
  expect(short).toEqual([expect.stringContaining('7 lines, not 60 to 150')])
})

function sixExports(): string {
  return ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `export const ${name} = 1\n`).join('')
}
