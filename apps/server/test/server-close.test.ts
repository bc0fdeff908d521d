import { setImmediate as turn } from 'node:timers/promises'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { expect, onTestFinished, test } from 'vitest'

import { Server } from '../src/server.ts'

test('long-lived connections have their time also where it is beyond the longest timer of Node', async () => {
  const at = '127.0.0.1:0'
  const server = await Server.start({
    proxy: { at },
    upstream: { at },
    admin: { at },
    software: 'test',
    logger: new RecordingLogger(),
  })
  // Node warns of such a timer, and runs it at once.
  const warnings: string[] = []
  const onWarning = ({ name }: Error): void => void warnings.push(name)
  process.on('warning', onWarning)
  onTestFinished(() => void process.off('warning', onWarning))
  await server.close({ longLivedMs: 2 ** 40, signal: new AbortController().signal })
  await turn()
  expect(warnings).toEqual([])
})
