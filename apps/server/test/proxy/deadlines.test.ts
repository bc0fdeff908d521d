import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { Deadlines, watchIdle } from '../../src/proxy/deadlines.ts'

const TICK_MS = 10

test('a deadline that passes while the process is held up is met when it has read what came', async () => {
  const deadlines = new Deadlines(TICK_MS)
  onTestFinished(() => deadlines.close())
  let looks = 0
  let looksAtExpiry: number | undefined
  deadlines.add({
    deadline: deadlines.now + 5 * TICK_MS,
    expire: () => (looksAtExpiry ??= looks),
  })
  await new Promise<void>((resolve) => {
    // from here timers come next, then what was received meanwhile, then setImmediate
    setImmediate(() => {
      for (const end = performance.now() + 20 * TICK_MS; performance.now() < end;);
      setImmediate(() => {
        looks = 1
        resolve()
      })
    })
  })
  await until(() => looksAtExpiry !== undefined)
  expect(looksAtExpiry).toBe(1)
})

test('a connection that begins just before a tick is not idle before its time', async () => {
  const deadlines = new Deadlines(100)
  onTestFinished(() => deadlines.close())
  await new Promise<void>((resolve) => {
    deadlines.add({ deadline: 0, expire: () => void setTimeout(resolve, 85) })
  })
  const beganAt = performance.now()
  let endedAt: number | undefined
  const abort = (): void => void (endedAt ??= performance.now())
  watchIdle({ bytesFromSocket: 0, bytesToSocket: 0, isHeldBack: false, abort }, 50, deadlines)
  await until(() => endedAt !== undefined)
  expect((endedAt ?? 0) - beganAt).toBeGreaterThanOrEqual(50)
})
