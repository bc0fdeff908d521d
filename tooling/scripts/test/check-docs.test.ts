// Each rule fails on a bad fixture, and passes on the same fixture made good.
import { expect, test } from 'vitest'
import { checkDocs } from '../src/check-docs.mjs'
import { problems } from './problems.ts'
import { MUX } from './workspace-fixture.ts'

const file = 'packages/mux/src/a.ts'
const indexOf = (text: string) =>
  ['a', 'Shape']
    .filter((name) => text.includes(` ${name} `) || text.includes(` ${name}(`))
    .map((name) => `export { ${name} } from './a.ts'\n`)
    .join('')
const found = (text: string, index = indexOf(text)) =>
  problems(checkDocs, {
    'packages/mux/package.json': { ...MUX, exports: { '.': { '@proj/source': './src/index.ts' } } },
    'packages/mux/src/index.ts': index,
    [file]: text,
  })

test.each([
  'export function a(): void {}\n',
  'export async function a(): Promise<void> {}\n',
  'export class a {}\n',
  'export abstract class a {}\n',
  'export const a = 1\n',
  'export type a = 1\n',
  '// only a remark\nexport const a = 1\n',
  '/* no doc comment */\nexport const a = 1\n',
])('%j is undocumented, and documented is fine', (text) => {
  expect(found(text)).toEqual([expect.stringMatching(/a\.ts:[12]: a has no doc comment/)])
  expect(found(`/** Does. */\n${text.split('\n').at(-2)}\n`)).toEqual([])
})

test('a comment that mentions a path with /* is whole', () => {
  expect(found('/**\n * Serves `/status/*`.\n */\nexport const a = 1\n')).toEqual([])
})

test('fields of public interfaces and of options need words, internal ones do not', () => {
  const body = '{\n  /** Here. */\n  one: 1\n  readonly two?: 2\n  three(): void\n}\n'
  expect(found(`/** S. */\nexport interface Shape ${body}`)).toEqual([
    `${file}:5: Shape.two has no doc comment`,
    `${file}:6: Shape.three has no doc comment`,
  ])
  expect(found(`/** S. */\nexport interface FooOptions ${body}`)).toHaveLength(2)
  expect(found(`/** S. */\nexport interface ResolvedOptions ${body}`)).toEqual([])
  expect(found(`export interface Internal ${body}`)).toEqual([])
})

test('what no entry point exports needs no comment', () => {
  expect(found('export function internal(): void {}\n', '')).toEqual([])
  expect(found('export function a(): void {}\n', "export { b } from './a.ts'\n")).toEqual([
    `${file}:1: b is published and not declared with export`,
  ])
})

test('a published name is followed through other files, other names and other entry points', () => {
  const files = {
    'packages/mux/package.json': {
      ...MUX,
      exports: {
        '.': { '@proj/source': './src/index.ts', default: './dist/index.js' },
        './more/*': './src/more/*.ts',
        './package.json': './package.json',
      },
    },
    'packages/mux/src/index.ts': "export { b as a, type T } from './deep/b.ts'\n",
    'packages/mux/src/deep/b.ts': "export { c as b } from '../c.ts'\nexport type T = 1\n",
    'packages/mux/src/c.ts': 'export const c = 1\nexport const T = 1\n',
    'packages/mux/src/more/d.ts': 'export const d = 1\n',
  }
  const hidden = { ...files['packages/mux/package.json'], private: true }
  expect(problems(checkDocs, { ...files, 'packages/mux/package.json': hidden })).toEqual([])
  expect(problems(checkDocs, files)).toEqual([
    'packages/mux/src/c.ts:1: c has no doc comment',
    'packages/mux/src/deep/b.ts:2: T has no doc comment',
    'packages/mux/src/more/d.ts:1: d has no doc comment',
  ])
})

test('public members of classes need words; private and inherited ones do not', () => {
  const members = [
    'constructor() {}',
    'open() {}',
    'async flush() {}',
    'get size() {}',
    'static of() {}',
    'readonly name = 1',
    '#hidden() {}',
    '_write() {}',
    'override read() {}',
    '[Symbol.dispose]() {}',
  ]
  const text = `/** S. */\nexport class Shape {\n${members.map((m) => `  ${m}\n`).join('')}}\n`
  expect(found(text).map((line) => line.split(' ')[1])).toEqual([
    'Shape.open',
    'Shape.flush',
    'Shape.size',
    'Shape.of',
    'Shape.name',
  ])
})
