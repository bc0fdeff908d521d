import { RecordingLogger } from '@proj/testkit/recording-logger'
import { expect, test } from 'vitest'

import { QUIET_MS, RetryLog } from '../../src/client/retry-log.ts'

function retryLog(): { log: RetryLog; levels: () => string[] } {
  const logger = new RecordingLogger()
  const log = new RetryLog(logger, () => 0)
  return { log, levels: () => logger.records.map(({ level }) => level) }
}

test('a failure that stays the same is a warning once a minute, and at level debug in between', () => {
  const logger = new RecordingLogger()
  let nowMs = 0
  const log = new RetryLog(logger, () => nowMs)
  for (nowMs = 0; nowMs <= QUIET_MS; nowMs += QUIET_MS / 4) log.retry(new Error('refused'), 100)
  expect(logger.records.map(({ level }) => level)).toEqual([
    'warn',
    'debug',
    'debug',
    'debug',
    'warn',
  ])
  expect(logger.records[4]?.fields).toMatchObject({ unsaid: 3, delayMs: 100 })
})

test('another failure is news', () => {
  const { log, levels } = retryLog()
  for (const text of ['refused', 'refused', 'timed out', 'refused']) log.retry(new Error(text), 1)
  expect(levels()).toEqual(['warn', 'debug', 'warn', 'warn'])
})

test('the same failure is news after a connection', () => {
  const { log, levels } = retryLog()
  log.retry(new Error('refused'), 1)
  log.connected()
  log.retry(new Error('refused'), 1)
  log.retry(undefined, 1)
  log.retry(undefined, 1)
  expect(levels()).toEqual(['warn', 'warn', 'warn', 'debug'])
})
