// Each rule fails on a bad fixture, and passes on the same fixture made good.
import { expect, test } from 'vitest'
import { checkDeps } from '../src/check-deps.mjs'
import { problems } from './problems.ts'
import { MUX, type Files } from './workspace-fixture.ts'

const ws = { name: 'ws', version: '8.0.0', license: 'MIT', engines: { node: '>=10' } }
const good: Files = {
  'package.json': { engines: { node: '>=20.20' } },
  'pnpm-workspace.yaml': 'allowBuilds:\n  esbuild: false # why\nother: 1\n',
  'docs/dependencies.md': '## Production\n\n| `ws` | why |\n\n## Development\n\n| `knip` | x |\n',
  'packages/mux/package.json': MUX,
  'packages/mux/node_modules/ws/package.json': ws,
}
const installed = 'node_modules/.pnpm/@a+b@1.0.0_x@2/node_modules/@a/b/package.json'
const with_ = (files: Files) => problems(checkDeps, { ...good, ...files })

test('a dependency with a reason is fine', () => expect(with_({})).toEqual([]))

test.each([
  [{ ...ws, license: 'GPL-3.0' }, 'licence GPL-3.0 is not on the list'],
  [{ ...ws, license: undefined }, 'licence none is not on the list'],
  [{ ...ws, engines: { node: '>=22' } }, 'wants Node >=22, we run on 20.20.0'],
  [{ ...ws, engines: { node: '^20.0.0' } }, 'we run on 26.0.0'],
])('%j', (manifest, problem) => {
  const found = with_({ 'packages/mux/node_modules/ws/package.json': manifest })
  expect(found).toEqual([expect.stringContaining(problem)])
})

test('what a dependency brings along is checked too', () => {
  const found = with_({
    'packages/mux/node_modules/ws/package.json': { ...ws, dependencies: { deep: '1' } },
    'packages/mux/node_modules/deep/package.json': { name: 'deep', version: '1', license: 'X' },
  })
  expect(found).toEqual(['@proj/mux > ws > deep 1: licence X is not on the list'])
})

test('what a program contains is checked as what a package brings', () => {
  const program = {
    name: '@proj/agent',
    devDependencies: { pino: 'catalog:prod', vitest: 'catalog:dev' },
  }
  const found = with_({
    'apps/agent/package.json': program,
    'apps/agent/node_modules/pino/package.json': { name: 'pino', version: '1.0.0', license: 'X' },
  })
  expect(found).toEqual([
    '@proj/agent > pino 1.0.0: licence X is not on the list',
    'docs/dependencies.md: no line under Production says why we have pino',
  ])
})

test('one row is about the binaries of a library for each platform', () => {
  const program = { name: '@proj/agent', optionalDependencies: { '@a/arm': 'x', '@a/x64': 'x' } }
  const files = {
    'apps/agent/package.json': program,
    'apps/agent/node_modules/@a/x64/package.json': { ...ws, name: '@a/x64' },
  }
  expect(with_(files)).toEqual([
    'docs/dependencies.md: no line under Production says why we have @a/x64',
  ])
  const rows = '## Production\n\n| `ws` | why |\n| `@a/*` | why |\n'
  expect(with_({ ...files, 'docs/dependencies.md': rows })).toEqual([])
})

test('types are no production dependency', () => {
  const manifest = { ...ws, dependencies: { '@types/node': '1' } }
  const types = { name: '@types/node', version: '1', license: 'MIT' }
  const found = with_({
    'packages/mux/node_modules/ws/package.json': manifest,
    'packages/mux/node_modules/@types/node/package.json': types,
  })
  expect(found).toEqual([
    '@proj/mux > ws > @types/node: types are for compilers, and installed there',
  ])
})

test('each dependency has its line, and no line is left over', () => {
  const found = with_({ 'docs/dependencies.md': '## Production\n\n| `zod` | why |\n' })
  expect(found).toEqual([
    'docs/dependencies.md: no line under Production says why we have ws',
    'docs/dependencies.md: zod is not used',
  ])
})

test('an install script is listed, and refused', () => {
  const manifest = { name: '@a/b', scripts: { postinstall: 'x' } }
  expect(with_({ [installed]: manifest })).toEqual([
    'pnpm-workspace.yaml: @a/b has an install script and is not in allowBuilds',
  ])
  const listed = { 'pnpm-workspace.yaml': "allowBuilds:\n  '@a/b': false\n" }
  expect(with_({ [installed]: manifest, ...listed })).toEqual([])
  const allowed = { 'pnpm-workspace.yaml': "allowBuilds:\n  '@a/b': true\n" }
  expect(with_({ [installed]: manifest, ...allowed })).toEqual([
    'pnpm-workspace.yaml: the install script of @a/b may not run',
  ])
})
