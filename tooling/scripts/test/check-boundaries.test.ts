// Every rule is seen to fail on a bad fixture, and to be silent once it is good.
import { expect, test } from 'vitest'
import { checkBoundaries } from '../src/check-boundaries.mjs'
import { problems } from './problems.ts'

const grammar = {
  'packages/config/package.json': { name: '@proj/config', exports: { '.': {}, './layers': {} } },
  'packages/config/src/index.ts': `export {
parseAddress,
type ListenAddress,
} from './address/listen-address.ts'
export { parseSize } from './units/size.ts'
`,
}
const found = (folder: string, text: string, file = 'a.ts') =>
  problems(checkBoundaries, {
    ...grammar,
    [`${folder}/package.json`]: {},
    [`${folder}/src/${file}`]: text,
  })

test.each([
  ['packages/mux', `import { x } from '@proj/dialer'\n`, 'must not know @proj/dialer'],
  ['packages/http1', `import type { X } from '@proj/mux'\n`, 'must not know @proj/mux'],
  ['packages/mux', `export { x } from '@proj/config'\n`, 'must not know @proj/config'],
  ['packages/mux', `const x = await import('@proj/config')\n`, 'must not know @proj/config'],
  ['packages/tunnel', `import '@proj/testkit/until'\n`, 'must not know'],
  ['apps/server', `import '@proj/config/src/size.ts'\n`, 'an entry they publish'],
  ['packages/dialer', `import { parseSize } from '@proj/config'\n`, 'only the address grammar'],
  ['packages/mux', `import { x } from '../../dialer/src/x.ts'\n`, 'leaves src'],
  ['packages/mux', `const home = process.env.HOME\n`, 'in main.ts only'],
])('in %s: %s', (folder, text, problem) => {
  expect(found(folder, text)).toEqual([expect.stringContaining(problem)])
})

test('the address grammar, the apps and main.ts may', () => {
  const names = 'parseAddress,\n  type ListenAddress as L,\n'
  expect(found('packages/dialer', `import {\n  ${names}} from '@proj/config'\n`)).toEqual([])
  expect(found('apps/server', `import { quote } from '@proj/config/layers'\n`)).toEqual([])
  expect(found('apps/server', `import { Session } from '@proj/mux'\n`)).toEqual([])
  expect(found('apps/server', 'start(process.argv, process.env)\n', 'main.ts')).toEqual([])
  expect(found('apps/server', `import manifest from '../package.json' with {}\n`)).toEqual([])
  expect(found('packages/mux', '// process.env is read by apps\n')).toEqual([])
})
