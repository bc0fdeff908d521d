import { loadSettings } from '@proj/config'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { settings as definition } from '../src/settings.ts'
import { warnOfUnusedSettings } from '../src/unused-settings.ts'

async function warnings(text: string): Promise<readonly object[]> {
  using folder = temporaryDirectory()
  const path = folder.write('server.yaml', text)
  const loaded = await loadSettings(definition, { cwd: folder.path, env: {}, files: [path] })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const logger = new RecordingLogger()
  warnOfUnusedSettings(loaded, logger)
  return logger.records
}

test('settings for clusters at a server that is alone are named in one warning', async () => {
  const text = 'cluster: { lease: 20s, node_id: a }\nupstream: { rebalance: { threshold: 0.2 } }'
  expect(await warnings(text)).toMatchObject([
    {
      level: 'warn',
      fields: {
        settings: ['upstream.rebalance.threshold', 'cluster.lease'],
        hint: expect.stringContaining('cluster.database_url'),
      },
    },
  ])
})

test.each([
  ['nothing of clusters', '{}'],
  ['a name of the node', 'cluster: { node_id: a, node_id_prefix: b }'],
  [
    'a database',
    "cluster: { database_url: 'postgres://a:b@127.0.0.1/c', lease: 20s }\nupstream: { rebalance: { threshold: 0.2 } }",
  ],
])('nothing is logged with %s', async (_, text) => {
  expect(await warnings(text)).toEqual([])
})
