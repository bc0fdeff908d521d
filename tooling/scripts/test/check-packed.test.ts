import { expect, test } from 'vitest'
import { checkPacked } from '../src/check-packed.mjs'
import { missingPrograms } from '../src/programs.mjs'
import { workspaceFixture, type Files } from './workspace-fixture.ts'

const noPnpm = missingPrograms([{ name: 'pnpm', debian: '', usedFor: 'packing' }]).length > 0
const REASON = 'pnpm is not on the path: run this through pnpm'
// packing and installing is processes and disk: seconds alone, more on a machine that is busy
const TIMEOUT_MS = 180_000

const manifest = {
  name: '@proj/one',
  version: '1.2.3',
  type: 'module',
  files: ['dist'],
  exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
}
const good: Files = {
  'package.json': { name: 'root', private: true },
  'pnpm-workspace.yaml': 'packages: [packages/*]\n',
  'packages/one/package.json': manifest,
  'packages/one/README.md':
    '# One\n\nIn a bundle, with dependencies, minified (with gzip), at most: everything 1 kB (1 kB). Loaded at the start when only one name is imported: `one` 1 kB (1 kB).\n',
  'packages/one/dist/index.js': 'export const one = 1\n',
  'packages/one/dist/index.d.ts': 'export declare const one: number\n',
}
const limits = { '@proj/one': { '*': [1, 1], one: [1, 1] } } as const

const BAD: readonly (readonly [name: string, files: Files, failure: RegExp])[] = [
  [
    'a file left out',
    { 'packages/one/package.json': { ...manifest, files: [] } },
    /^node .* ended/,
  ],
  ['a hidden dependency', { 'packages/one/dist/index.js': `import 'ws'\n` }, /^node .* ended/],
  [
    'an example that does not compile',
    { 'packages/one/README.md': "# One\n\n```ts\nimport { two } from '@proj/one'\n```\n" },
    /tsc .* ended/,
  ],
  [
    'a missing type',
    { 'packages/one/dist/index.d.ts': `export { x } from './gone.js'\n` },
    /tsc .* ended/,
  ],
  [
    'a README without the size of the package',
    { 'packages/one/README.md': '# One\n' },
    /README\.md lacks the sentence: .* everything 1 kB/,
  ],
]

test('whole packages hold', { timeout: TIMEOUT_MS }, async ({ skip }) => {
  skip(noPnpm, REASON)
  using root = workspaceFixture(good)
  expect(await checkPacked(root.path, limits)).toEqual(['@proj/one'])
})

test.for(BAD)('%s is found', { timeout: TIMEOUT_MS }, async ([, files, failure], { skip }) => {
  skip(noPnpm, REASON)
  using root = workspaceFixture({ ...good, ...files })
  await expect(checkPacked(root.path, limits)).rejects.toThrow(failure)
})
