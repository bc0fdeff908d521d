// Every rule of lint and format we rely on is seen to fail. The linter is run once, on a folder of
// small bad files with a tsconfig of its own (the type-aware rules need one).
import { readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Spawned } from '@proj/testkit/spawned'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

const root = join(import.meta.dirname, '../../..')
const folder = temporaryDirectory()
let output = ''

// a type-aware run loads the compiler and its libraries: seconds alone, a minute on a machine that is busy
const START_LIMIT_MS = 180_000

/** File name → bad content and the rule that must say so. */
const BAD: Readonly<Record<string, readonly [text: string, rule: string]>> = {
  'floating-promise.ts': [
    'async function work(): Promise<void> {}\nexport function start(): void {\n  work()\n}\n',
    'typescript(no-floating-promises)',
  ],
  'misused-promise.ts': [
    'export function start(list: number[]): void {\n  list.forEach(async (n) => {\n    await n\n  })\n}\n',
    'typescript(no-misused-promises)',
  ],
  'any.ts': ['export function f(x: any): void {\n  f(x)\n}\n', 'typescript(no-explicit-any)'],
  'non-null.ts': [
    'export function f(x: { a?: string }): string {\n  return x.a!\n}\n',
    'typescript(no-non-null-assertion)',
  ],
  'type-import.ts': [
    "import { Socket } from 'node:net'\nexport function f(s: Socket): void {\n  s.end()\n}\n",
    'typescript(consistent-type-imports)',
  ],
  'console.ts': ["console.log('x')\nexport {}\n", 'eslint(no-console)'],
  'default.ts': ['export default 1\n', 'import(no-default-export)'],
  'protocol.ts': ["import fs from 'fs'\nfs.statSync('x')\n", 'unicorn(prefer-node-protocol)'],
  'global.ts': [
    "export const socket = new WebSocket('ws://127.0.0.1')\n",
    'eslint(no-restricted-globals)',
  ],
  'curly.ts': ['export function f(x: boolean): void {\n  if (x)\n    f(!x)\n}\n', 'eslint(curly)'],
  'unused.ts': ['const unused = 1\nexport {}\n', 'eslint(no-unused-vars)'],
  'cycle-a.ts': ["import { b } from './cycle-b.ts'\nexport const a = b\n", 'import(no-cycle)'],
  'cycle-b.ts': ["import { a } from './cycle-a.ts'\nexport const b = a\n", 'import(no-cycle)'],
  'type-cycle-a.ts': [
    "import type { B } from './type-cycle-b.ts'\nexport interface A {\n  b: B\n}\n",
    'import(no-cycle)',
  ],
  'type-cycle-b.ts': [
    "import type { A } from './type-cycle-a.ts'\nexport interface B {\n  a: A\n}\n",
    'import(no-cycle)',
  ],
  'only.test.ts': [
    "import { test } from 'vitest'\ntest('says nothing', () => {})\n",
    'vitest(expect-expect)',
  ],
}

beforeAll(async () => {
  for (const name of ['.oxlintrc.json', '.oxfmtrc.json', 'tooling/lint/base.json']) {
    folder.write(name, readFileSync(join(root, name)))
  }
  symlinkSync(join(root, 'tooling/scripts/node_modules'), join(folder.path, 'node_modules'))
  folder.write('tsconfig.json', '{ "extends": "@proj/tsconfig/base.json", "include": ["*.ts"] }')
  for (const [name, [text]] of Object.entries(BAD)) folder.write(name, text)
  const oxlint = await run('oxlint', ['--type-aware', '--deny-warnings', '--format=unix'])
  if (oxlint.code === 1) output = oxlint.stdout
}, START_LIMIT_MS)

afterAll(() => folder[Symbol.dispose]())

test.each(Object.entries(BAD))('%s is refused', (name, [, rule]) => {
  const found = output.split('\n').filter((line) => line.includes(`${name}:`))
  expect(found.join('\n')).toContain(rule)
})

test(
  'oxfmt refuses what it would write otherwise',
  async () => {
    folder.write('bad-format/a.ts', 'export const  a = "1";\n')
    folder.write('good-format/a.ts', "export const a = '1'\n")
    expect((await run('oxfmt', ['--check', 'bad-format'])).code).toBe(1)
    expect((await run('oxfmt', ['--check', 'good-format'])).code).toBe(0)
  },
  START_LIMIT_MS,
)

async function run(name: string, args: readonly string[]) {
  await using started = new Spawned(join(root, 'node_modules/.bin', name), args, {
    cwd: folder.path,
  })
  const { code } = await started.exited
  return { code, stdout: started.stdout }
}
