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

  it('waits longer than a timer can', () => {
    const signal = abortAt(Date.now() + 90 * DAY_MS, REASON)
    vi.advanceTimersByTime(90 * DAY_MS - 1)
    expect(signal.aborted).toBe(false)
    vi.advanceTimersByTime(1)
    expect(signal.aborted).toBe(true)
  })

  it('goes by the clock it is given', () => {
    let time = 0
    const signal = abortAt(1000, REASON, () => time)
    vi.advanceTimersByTime(1000)
    expect(signal.aborted).toBe(false)
    time = 1000
    vi.advanceTimersByTime(1000)
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
