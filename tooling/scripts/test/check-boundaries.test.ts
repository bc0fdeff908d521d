// Each rule fails on a bad fixture, and passes on the same fixture made good.
import { expect, test } from 'vitest'
import { checkBoundaries } from '../src/check-boundaries.mjs'
import { problems } from './problems.ts'

const entries = (...subpaths: string[]) =>
  Object.fromEntries(subpaths.map((path) => [path, { '@proj/source': './src/index.ts' }]))
const others = {
  'packages/config/package.json': { name: '@proj/config', exports: entries('.', './address') },
  'packages/tunnel/package.json': { name: '@proj/tunnel', exports: entries('.', './server') },
}
const found = (folder: string, text: string, file = 'a.ts') =>
  problems(checkBoundaries, {
    [`${folder}/package.json`]: {},
    ...others,
    [`${folder}/src/${file}`]: text,
  })

test.each([
  ['packages/mux', `import { x } from '@proj/dialer'\n`, 'may not import @proj/dialer'],
  ['packages/http1', `import type { X } from '@proj/mux'\n`, 'may not import @proj/mux'],
  ['packages/dialer', `export { x } from '@proj/config'\n`, 'may not import @proj/config'],
  ['packages/mux', `const x = await import('@proj/config')\n`, 'may not import @proj/config'],
  ['packages/auth', `import { x } from '@proj/tunnel'\n`, 'may not import @proj/tunnel'],
  ['packages/other', `import { x } from '@proj/config'\n`, 'may not import @proj/config'],
  ['apps/server', `import { x } from '@proj/config/src/x.ts'\n`, 'is not an entry point of'],
  ['apps/server', `import '@proj/testkit/until'\n`, 'is not an entry point of @proj/testkit'],
  [
    'apps/agent',
    `import { x } from '@proj/tunnel/server'\n`,
    'is for apps/server, packages/cluster only',
  ],
  ['packages/mux', `import { x } from '../../dialer/src/x.ts'\n`, 'leaves src'],
  ['packages/mux', `const home = process.env.HOME\n`, 'in main.ts only'],
  ['packages/auth', `socket.resetAndDestroy()\n`, 'through resetSocket only'],
])('in %s: %s', (folder, text, problem) => {
  expect(found(folder, text)).toEqual([expect.stringContaining(problem)])
})

test('what the plan allows', () => {
  expect(found('packages/dialer', `import {\n  x,\n} from '@proj/config/address'\n`)).toEqual([])
  expect(found('packages/auth', `import { x } from '@proj/http1'\n`)).toEqual([])
  expect(found('apps/server', `import { Session } from '@proj/mux'\n`)).toEqual([])
  expect(found('apps/server', `import { x } from '@proj/tunnel/server'\n`)).toEqual([])
  expect(found('apps/server', 'start(process.argv, process.env)\n', 'main.ts')).toEqual([])
  expect(found('apps/server', `import manifest from '../package.json' with {}\n`)).toEqual([])
  expect(found('packages/mux', '// process.env is read by apps\n')).toEqual([])
  expect(found('packages/tunnel', 'socket.resetAndDestroy()\n', 'io/reset-socket.ts')).toEqual([])
})
