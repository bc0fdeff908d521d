import { describe, expect, it } from 'vitest'

import { RateAllowance } from '../../src/proxy/min-rate.ts'

const OPTIONS = { minRate: 240, minRateGraceMs: 60_000, idleTimeoutMs: 300_000 }
const LOOK_MS = 1_000

/**
 * Looks once a second at a visitor that moves bytes, so many in each second, beginning with an empty count.
 *
 * @returns after how many seconds it is too slow; undefined: it is not.
 */
function secondsOf(
  allowance: RateAllowance,
  perSecond: (second: number) => number,
  most = 3_600,
): number | undefined {
  let bytes = 0
  allowance.isUsedUp(bytes, LOOK_MS)
  for (let second = 1; second <= most; second++) {
    bytes += perSecond(second)
    if (allowance.isUsedUp(bytes, LOOK_MS)) return second
  }
  return undefined
}

describe('the allowance of a visitor', () => {
  it.each([
    ['nothing', () => 0, 60],
    ['1 byte in a second', () => 1, 61],
    ['half of the rate', () => 120, 120],
    ['the rate', () => 240, undefined],
    ['the rate, once in 50 s', (second: number) => (second % 50 === 0 ? 240 * 50 : 0), undefined],
    ['a megabyte, then nothing', (second: number) => (second === 1 ? 1_000_000 : 0), 300],
    ['a megabyte each 290 s', (second: number) => (second % 290 === 1 ? 1e6 : 0), undefined],
  ])('who moves %s', (_, perSecond, expected) => {
    expect(secondsOf(new RateAllowance(OPTIONS), perSecond)).toBe(expected)
  })

  it('is not used while nothing is due, and has the grace again', () => {
    const allowance = new RateAllowance(OPTIONS)
    expect(secondsOf(allowance, () => 0, 59)).toBe(undefined)
    allowance.rest()
    expect(secondsOf(allowance, () => 0)).toBe(60)
  })

  it('does not begin with what was moved before the first look', () => {
    const allowance = new RateAllowance(OPTIONS)
    expect(allowance.isUsedUp(1_000_000, LOOK_MS)).toBe(false)
    for (let second = 1; second < 60; second++) {
      expect(allowance.isUsedUp(1_000_000, LOOK_MS)).toBe(false)
    }
    expect(allowance.isUsedUp(1_000_000, LOOK_MS)).toBe(true)
  })

  it('without a rate is the idle time, whole again with each byte', () => {
    const options = { ...OPTIONS, minRate: 0 }
    expect(secondsOf(new RateAllowance(options), () => 0)).toBe(300)
    const rarely = (second: number): number => (second % 299 === 0 ? 1 : 0)
    expect(secondsOf(new RateAllowance(options), rarely)).toBe(undefined)
  })
})
