// Every rule is seen to fail on a bad fixture, and to be silent once it is good.
import { expect, test } from 'vitest'
import { checkDocs } from '../src/check-docs.mjs'
import { problems } from './problems.ts'
import { MUX } from './workspace-fixture.ts'

const file = 'packages/mux/src/a.ts'
const found = (text: string, index = "export { a, type Shape } from './a.ts'\n") =>
  problems(checkDocs, {
    'packages/mux/package.json': MUX,
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
  expect(found(`/** S. */\nexport interface Internal ${body}`)).toEqual([])
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
