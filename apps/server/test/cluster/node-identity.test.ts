// Which node a server is: the same one after a restart, never the same run.
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { NODE_ID_FILE, nodeIdentity } from '../../src/cluster/node-identity.ts'

test('an id that was made is kept in the data directory, the boot is new', () => {
  using files = temporaryDirectory()
  const options = { directory: files.path, logger: new RecordingLogger() }
  const first = nodeIdentity({ ...options, nodeIdPrefix: 'piko-0-' })
  expect(first.id).toMatch(/^piko-0-[a-z0-9]{7}$/)
  const second = nodeIdentity({ ...options, nodeIdPrefix: 'piko-0-' })
  expect(second.id).toBe(first.id)
  expect(second.boot).not.toBe(first.boot)
  // A directory that was copied from another pod does not make it that pod.
  expect(nodeIdentity({ ...options, nodeIdPrefix: 'piko-1-' }).id).toMatch(/^piko-1-/)
})

test('an id that is configured wins, and is not kept', () => {
  using files = temporaryDirectory()
  const options = { directory: files.path, logger: new RecordingLogger() }
  const { id } = nodeIdentity(options)
  expect(nodeIdentity({ ...options, nodeId: 'berlin' }).id).toBe('berlin')
  expect(nodeIdentity(options).id).toBe(id)
})

test.for(['', 'a b', '../x', 'x'.repeat(200)])('a file with %j is replaced', (text) => {
  using files = temporaryDirectory()
  files.write(NODE_ID_FILE, text)
  const options = { directory: files.path, logger: new RecordingLogger() }
  const { id } = nodeIdentity(options)
  expect(id).toMatch(/^[a-z0-9]{7}$/)
  expect(nodeIdentity(options).id).toBe(id)
})

test('where nothing is kept, or nothing can be, the id is new each time', () => {
  const logger = new RecordingLogger()
  const [one, two] = [undefined, undefined].map(() =>
    nodeIdentity({ directory: undefined, logger }),
  )
  expect(one?.id).not.toBe(two?.id)
  nodeIdentity({ directory: '/nonexistent/x', logger })
  expect(logger.records).toMatchObject([{ level: 'warn' }])
})
