import { afterEach, beforeEach, expect, it, vi } from 'vitest'

import type * as LentBuffers from '../../src/io/lent-buffers.ts'

type LentBuffer = LentBuffers.LentBuffer

let lentBuffers: typeof LentBuffers

// What waits is the process's: each test begins with nothing.
beforeEach(async () => {
  vi.useFakeTimers()
  vi.resetModules()
  lentBuffers = await import('../../src/io/lent-buffers.ts')
})
afterEach(() => void vi.useRealTimers())

function lend(): LentBuffer {
  const one = lentBuffers.LentBuffer.lend()
  if (one === undefined) throw new Error('none to be had')
  return one
}

/** Has `count` buffers kept, one after another, and returns them with what lets them go. */
function keep(one: LentBuffer, count: number): { buffers: Set<Buffer>; drain: () => void } {
  const holders = Array.from({ length: count }, () => ({ drained: false }))
  const buffers = new Set<Buffer>()
  for (const holder of holders) {
    buffers.add(one.buffer)
    one.taken(holder, 1)
  }
  return { buffers, drain: () => holders.forEach((holder) => (holder.drained = true)) }
}

it('keeps its buffer while nobody else does', () => {
  const one = lend()
  const { buffer } = one
  one.taken(true, 1)
  expect(one.buffer).toBe(buffer)
  one.taken(false, 1)
  expect(one.buffer === buffer).toBe(false) // `not.toBe` would compare every byte
  one.giveBack()
})

it('uses what was kept again, the oldest of too many excepted', () => {
  const one = lend()
  const { buffers, drain } = keep(one, 100)
  expect(buffers.size).toBe(100)
  drain()
  const again = keep(one, 200)
  const used = [...again.buffers].filter((buffer) => buffers.has(buffer))
  expect(used.length).toBe(96)
  again.drain()
  one.giveBack()
})

it('lets go of half of what waits while that is enough, and of nothing while it is not', () => {
  const one = lend()
  const { buffers, drain } = keep(one, 20)
  drain()
  vi.advanceTimersByTime(10_000) // all 20 were needed
  keep(one, 5).drain()
  vi.advanceTimersByTime(10_000) // 20 wait, and none had to be made
  const left = keep(one, 50)
  const used = [...left.buffers].filter((buffer) => buffers.has(buffer))
  expect(used.length).toBe(10)
  left.drain()
  vi.advanceTimersByTime(100_000)
  const none = keep(one, 50)
  const old = [...none.buffers].filter((buffer) => left.buffers.has(buffer))
  expect(old.length).toBe(0)
  none.drain()
  one.giveBack()
})

it('lends to so many sockets and no more', () => {
  const all = Array.from({ length: 64 }, lend)
  expect(lentBuffers.LentBuffer.lend()).toBeUndefined()
  all.pop()?.giveBack()
  all.push(lend())
  for (const one of all) one.giveBack()
})

it.each([1, 100, 4096, 4097, 65_536])('copies %i bytes', (bytes) => {
  const from = Buffer.alloc(bytes + 10, 'adit')
  const first = lentBuffers.copyOf(from, bytes)
  const second = lentBuffers.copyOf(from, bytes)
  const expected = Buffer.from(from.subarray(0, bytes))
  from.fill(0)
  first.fill(1)
  expect(second.equals(expected)).toBe(true)
})
