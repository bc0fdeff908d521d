// Each rule fails on a bad fixture, and passes on the same fixture made good.
import { expect, test } from 'vitest'
import { checkTables } from '../src/check-tables.mjs'
import { problems } from './problems.ts'
import { MUX, type Files } from './workspace-fixture.ts'

const good: Files = {
  'packages/mux/package.json': MUX,
  'packages/mux/src/errors.ts': "export type Code =\n  | 'MUX_A_B'\n  | 'MUX_C_D'\n",
  'packages/mux/README.md': '| `MUX_A_B` | x |\n| `MUX_C_D` | x |\n| `SOME_LIMITS` | x |\n',
  'packages/mux/test/a.test.ts': "'MUX_A_B' 'MUX_C_D'",
}
const with_ = (files: Files) => problems(checkTables, { ...good, ...files })

test('the same codes in code, README and tests are fine', () => expect(with_({})).toEqual([]))

test.each([
  [{ 'packages/mux/README.md': '| `MUX_A_B` | x |\n' }, 'README.md: no row for MUX_C_D'],
  [{ 'packages/mux/test/a.test.ts': 'MUX_C_D' }, 'errors.ts: no test produces MUX_A_B'],
  [{ 'packages/mux/src/errors.ts': '  MUX_A_B: {\n' }, 'MUX_C_D is not in src/errors.ts'],
])('%j', (files, problem) => {
  expect(with_(files)).toEqual([expect.stringContaining(problem)])
})

test('a test of a package that uses it will do', () => {
  const elsewhere = { 'packages/mux/test/a.test.ts': 'MUX_A_B', 'apps/a/package.json': {} }
  expect(with_({ ...elsewhere, 'apps/a/test/b.test.ts': 'MUX_C_D' })).toEqual([])
})
