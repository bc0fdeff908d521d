// A name without ./ is an address; where a folder has that name, the error says how it is written.
import { isConfigError } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { listenerAddr } from '../../../src/listeners/listener-addr.ts'

test.for([
  ['site', 'for the folder write ./site'],
  ['site/sub', 'for the folder write ./site/sub'],
  ['page.html', 'write page.html:8080'],
  ['web', 'write web:8080'],
] as const)('%s is no address, with the hint: %s', ([text, hint]) => {
  using folder = temporaryDirectory()
  folder.write('site/sub/index.html', '')
  folder.write('page.html', '')
  let error: unknown
  try {
    listenerAddr().parse(text, { baseDir: folder.path })
  } catch (thrown) {
    error = thrown
  }
  expect(isConfigError(error) && error.hint).toBe(hint)
})
