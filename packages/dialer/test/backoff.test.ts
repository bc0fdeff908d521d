import { describe, expect, it } from 'vitest'

import { MAX_SHORT_LIVES } from '../src/backoff.ts'
import { Backoff } from '../src/index.ts'
import { parseRetryAfter } from '../src/websocket/rejected-upgrade.ts'

const high = (): number => 1 - Number.EPSILON
const low = (): number => 0

describe('Backoff', () => {
  it('returns a delay between the minimum and a maximum that doubles up to its limit', () => {
    const most = new Backoff({ random: high })
    const least = new Backoff({ random: low })
    const delays = Array.from({ length: 9 }, () => Math.round(most.next()))
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
    for (let i = 0; i < 9; i += 1) expect(least.next()).toBe(100)
  })

  it('returns up to one minute for errors of class slow', () => {
    const backoff = new Backoff({ random: high })
    for (let i = 0; i < 20; i += 1) backoff.next()
    expect(Math.round(backoff.next({ retry: 'slow' }))).toBe(60_000)
  })

  it('returns five minutes after errors of class no, so that accounts are not locked', () => {
    const backoff = new Backoff({ random: low })
    expect(backoff.next({ retry: 'no' })).toBe(300_100)
    expect(backoff.next({ retry: 'no', retryAfterMs: 400_000 })).toBe(400_000)
  })

  it('adds jitter to Retry-After', () => {
    expect(new Backoff({ random: low }).next({ retryAfterMs: 7000 })).toBe(7100)
    expect(Math.round(new Backoff({ random: high }).next({ retryAfterMs: 7000 }))).toBe(7500)
  })

  it('stays below two seconds for half a minute after the loss of a connection that lived', () => {
    const backoff = new Backoff({ random: high, resetAfterMs: 1000 })
    const longest = (nowMs: number, retry: 'yes' | 'slow' | 'no' = 'yes'): number =>
      Math.round(Math.max(...Array.from({ length: 8 }, () => backoff.next({ retry }, nowMs))))
    backoff.connected(0)
    backoff.lost(999)
    expect(longest(1000)).toBe(30_000)
    backoff.connected(2000)
    backoff.lost(3000)
    expect(longest(3001)).toBe(2000)
    expect(longest(32_999, 'slow')).toBe(2000)
    expect(longest(32_999, 'no')).toBe(302_000)
    expect(longest(33_000)).toBe(30_000)
    expect(longest(33_000, 'slow')).toBe(60_000)
    expect(Math.round(backoff.next())).toBe(30_000)
  })

  it('stays below two seconds after shorter ones that follow it, as long as they are few', () => {
    const backoff = new Backoff({ random: high, resetAfterMs: 5000 })
    const longest = (nowMs: number): number =>
      Math.round(Math.max(...Array.from({ length: 8 }, () => backoff.next({}, nowMs))))
    let nowMs = 0
    const live = (ms: number): void => {
      backoff.connected(nowMs)
      nowMs += ms
      backoff.lost(nowMs)
    }
    live(5000)
    for (let times = 0; times < MAX_SHORT_LIVES; times += 1) {
      nowMs += 60_000 // longer than the delays are short
      live(3000)
      expect(longest(nowMs + 29_999)).toBe(2000)
      expect(longest(nowMs + 30_000)).toBe(30_000)
    }
    nowMs += 60_000
    live(3000)
    expect(longest(nowMs)).toBe(30_000)
    live(5000)
    live(3000)
    expect(longest(nowMs)).toBe(2000)
  })

  it('starts again after a connection that lived long enough, and not after a shorter one', () => {
    const backoff = new Backoff({ random: high, resetAfterMs: 1000 })
    for (let i = 0; i < 3; i += 1) backoff.next()
    backoff.connected(5000)
    backoff.lost(5999)
    expect(Math.round(backoff.next())).toBe(4000)
    backoff.lost(99_999)
    expect(Math.round(backoff.next())).toBe(8000)
    backoff.connected(5000)
    backoff.lost(6000)
    expect(Math.round(backoff.next())).toBe(500)
    backoff.reset()
    expect(Math.round(backoff.next())).toBe(500)
  })

  it('stays within its limit after ten thousand attempts', () => {
    const backoff = new Backoff({ random: high })
    for (let i = 0; i < 10_000; i += 1) expect(backoff.next()).toBeLessThanOrEqual(30_000)
  })

  it('spreads the delays of agents that lose their server at the same moment', () => {
    // A linear congruential generator with a fixed seed: the same numbers in every run.
    let seed = 42
    const random = (): number => (seed = (seed * 1_664_525 + 1_013_904_223) % 2 ** 32) / 2 ** 32
    const buckets = Array.from({ length: 10 }, () => 0)
    for (let i = 0; i < 10_000; i += 1) {
      const delay = new Backoff({ random, minMs: 1, baseMs: 1000 }).next()
      const bucket = Math.min(9, Math.floor(delay / 100))
      buckets[bucket] = (buckets[bucket] ?? 0) + 1
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  it('reports the option that is out of range', () => {
    for (const name of ['minMs', 'baseMs', 'maxMs', 'slowMaxMs', 'stoppedMs', 'factor']) {
      expect(() => new Backoff({ [name]: 0 })).toThrow(name)
    }
    expect(() => new Backoff({ resetAfterMs: -1 })).toThrow('resetAfterMs')
  })
})

describe('parseRetryAfter', () => {
  const now = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT')
  it.each([
    ['7', 7000],
    ['0', 0],
    [' 12 ', 12_000],
    ['999999999', 300_000],
    ['Wed, 21 Oct 2026 07:28:30 GMT', 30_000],
    ['Wed, 21 Oct 2026 07:27:00 GMT', 0],
    ['Wed, 21 Oct 2099 07:27:00 GMT', 300_000],
    ['soon', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j: %s', (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected)
  })
})
