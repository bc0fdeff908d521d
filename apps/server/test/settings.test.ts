import { loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { settings } from '../src/settings.ts'

// A timer of Node runs at once when its time is longer than 24.8 days.
test.for([
  ['upgrade: { delay: inf }', 'at most 10m'],
  ['upgrade: { delay: 40d }', 'at most 10m'],
  ['upgrade: { timeout: inf }', 'at most 1h'],
] as const)('%s is an error, %s', async ([text, allowed]) => {
  using files = temporaryDirectory()
  files.write('server.yaml', text)
  const loaded = await loadSettings(settings, { cwd: files.path, files: ['server.yaml'], env: {} })
  expect(loaded.problems).toMatchObject([
    { severity: 'error', allowed: expect.stringContaining(allowed) },
  ])
})
