// Each rule fails on a bad fixture, and passes on the same fixture made good.
import { expect, test } from 'vitest'
import { checkPaths } from '../src/check-paths.mjs'
import { problems } from './problems.ts'
import { MUX } from './workspace-fixture.ts'

const found = (file: string, text: string) =>
  problems(checkPaths, {
    'packages/mux/package.json': MUX,
    'packages/mux/src/session.ts': '',
    'docs/protocol.md': '',
    [file]: text,
  })

test('paths that exist, globs, places to fill in, and links to the web are fine', () => {
  const text =
    '`packages/mux/src/session.ts` `packages/*/src/x` `packages/<name>` `@proj/mux`\n' +
    '[a](docs/protocol.md#reasons) [b](https://example.com/x) [c](#here)\n'
  expect(found('CONTRIBUTING.md', text)).toEqual([])
  expect(found('packages/mux/README.md', '[protocol](../../docs/protocol.md)')).toEqual([])
  const own = '`src/session.ts` `src/*.ts` `src/` `../mux/package.json` `docs/` `1/10s`'
  expect(found('packages/mux/README.md', own)).toEqual([])
})

test('the README of a package may name folders of its src', () => {
  const files = { 'packages/mux/package.json': MUX, 'packages/mux/src/stream/channel.ts': '' }
  const readme = { 'packages/mux/README.md': '`stream/` and `frame/`' }
  expect(problems(checkPaths, { ...files, ...readme })).toEqual([
    'packages/mux/README.md: there is no frame/',
  ])
})

test.each([
  ['CONTRIBUTING.md', '`packages/mux/src/sesion.ts`', 'packages/mux/src/sesion.ts'],
  ['docs/mux.md', 'see `packages/max/*.ts`', 'packages/max/*.ts'],
  ['README.md', '[protocol](docs/protokoll.md)', 'docs/protokoll.md'],
  ['packages/mux/README.md', '[protocol](docs/protocol.md)', 'packages/mux/docs/protocol.md'],
  ['packages/mux/README.md', 'as in `src/sesion.ts`', 'src/sesion.ts'],
  ['packages/mux/README.md', 'run with `test/*.ts`', 'test/*.ts'],
  ['packages/mux/README.md', '`../max/src`', '../max/src'],
])('in %s: %s', (file, text, missing) => {
  expect(found(file, text)).toEqual([`${file}: there is no ${missing}`])
})
