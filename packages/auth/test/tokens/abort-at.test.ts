import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { abortAt } from '../../src/tokens/abort-at.ts'

const REASON = new Error('expired token')
const DAY_MS = 86_400_000

describe('abortAt', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }))
  afterEach(() => void vi.useRealTimers())

  it('aborts at its time and not before', () => {
    const signal = abortAt(Date.now() + 1000, REASON)
    vi.advanceTimersByTime(999)
    expect(signal.aborted).toBe(false)
    vi.advanceTimersByTime(1)
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toBe(REASON)
  })

  it('is aborted already when its time has passed', () => {
    expect(abortAt(Date.now(), REASON).aborted).toBe(true)
    expect(abortAt(0, REASON).reason).toBe(REASON)
  })

  it('waits for days', () => {
    const at = Date.now() + 90 * DAY_MS
    const signal = abortAt(at, REASON)
    vi.setSystemTime(at - 2001)
    vi.advanceTimersByTime(2000)
    expect(signal.aborted).toBe(false)
    vi.advanceTimersByTime(50) // the shortest time between two looks
    expect(signal.aborted).toBe(true)
  })

  it.for([1_000, 600_000, 90 * DAY_MS])(
    'a clock that is set forward by %i ms, or a sleep of that time, ends it within 2 s',
    (ms) => {
      const signal = abortAt(Date.now() + ms + 10_000, REASON)
      vi.advanceTimersByTime(5_000)
      vi.setSystemTime(Date.now() + ms + 5_000) // timers do not notice
      expect(signal.aborted).toBe(false)
      vi.advanceTimersByTime(2_000)
      expect(signal.aborted).toBe(true)
    },
  )

  it('a clock that is set back lets it live as long as it says', () => {
    const at = Date.now() + 10_000
    const signal = abortAt(at, REASON)
    vi.advanceTimersByTime(9_000)
    vi.setSystemTime(at - 60_000)
    vi.advanceTimersByTime(59_999)
    expect(signal.aborted).toBe(false)
    vi.advanceTimersByTime(50)
    expect(signal.aborted).toBe(true)
  })

  it('many wait with one timer, which goes with the last of them', () => {
    const before = vi.getTimerCount()
    const signals = Array.from({ length: 1000 }, (_, n) => abortAt(Date.now() + 5_000 + n, REASON))
    expect(vi.getTimerCount() - before).toBe(1)
    vi.advanceTimersByTime(5_100)
    const ended = signals.filter(({ aborted }) => aborted).length
    expect(ended).toBeGreaterThanOrEqual(50)
    expect(ended).toBeLessThanOrEqual(101)
    vi.advanceTimersByTime(1_000)
    expect(signals.every(({ aborted }) => aborted)).toBe(true)
    expect(vi.getTimerCount()).toBe(before)
  })

  it('goes by the clock it is given', () => {
    let time = 0
    const signal = abortAt(1000, REASON, () => time)
    vi.advanceTimersByTime(1000)
    expect(signal.aborted).toBe(false)
    time = 1000
    vi.advanceTimersByTime(2000)
    expect(signal.aborted).toBe(true)
  })
})

it('a signal that nobody holds goes, long before its time', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void // what the flag puts there
  const forgotten = new WeakRef(abortAt(Date.now() + DAY_MS, REASON))
  const held = abortAt(Date.now() + DAY_MS, REASON)
  await turn()
  collect()
  expect(forgotten.deref()).toBeUndefined()
  expect(held.aborted).toBe(false)
})

it('a signal that is held is aborted, whatever was collected', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void // what the flag puts there
  let time = 0
  const signal = abortAt(30, REASON, () => time)
  await turn()
  collect()
  time = 30
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  expect(signal.reason).toBe(REASON)
})
