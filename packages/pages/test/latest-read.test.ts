import { expect, test } from 'vitest'

import { LatestRead } from '../src/parts/latest-read.ts'

test('what changes while it is being read is read once more, when that has ended', async () => {
  let end = (): void => {}
  const first = new Promise<void>((resolve) => (end = resolve))
  let reads = 0
  const latest = new LatestRead(async () => {
    reads += 1
    if (reads === 1) await first
  })
  const calls = [latest.again(), latest.again(), latest.again()]
  expect([reads, latest.isRunning]).toEqual([1, true])
  end()
  await Promise.all(calls)
  expect([reads, latest.isRunning]).toEqual([2, false])
  await latest.again()
  expect(reads).toBe(3)
})
