import { describe, expect, it } from 'vitest'
import { HTTP_DEFAULTS, type HttpLimits, resolveHttpLimits } from '../src/limits.ts'
import { RequestHeadReader } from '../src/request-head.ts'
import { ResponseHeadReader } from '../src/response-head.ts'

const RANGES: readonly (readonly [keyof HttpLimits, number, number])[] = [
  ['maxHeadBytes', 64, 16_777_216],
  ['maxHeaders', 1, 65_536],
  ['maxChunkExtensionBytes', 0, 65_536],
  ['maxTrailerBytes', 2, 16_777_216],
]

describe('resolveHttpLimits', () => {
  it('fills in the defaults and returns a new object', () => {
    expect(resolveHttpLimits()).toEqual(HTTP_DEFAULTS)
    expect(resolveHttpLimits(HTTP_DEFAULTS)).not.toBe(HTTP_DEFAULTS)
    expect(resolveHttpLimits({ maxHeaders: 5 })).toEqual({ ...HTTP_DEFAULTS, maxHeaders: 5 })
    expect(Object.isFrozen(HTTP_DEFAULTS)).toBe(true)
  })

  it.each(RANGES)('takes %s from %i to %i', (name, min, max) => {
    expect(resolveHttpLimits({ [name]: min })[name]).toBe(min)
    expect(resolveHttpLimits({ [name]: max })[name]).toBe(max)
    for (const value of [min - 1, max + 1, min + 0.5, NaN, Infinity]) {
      expect(() => resolveHttpLimits({ [name]: value })).toThrow(
        new RangeError(`${name} must be an integer from ${min} to ${max}, got ${value}`),
      )
    }
  })

  it('is asked when a reader is made', () => {
    expect(() => new RequestHeadReader({ maxHeadBytes: 1 })).toThrow(RangeError)
    expect(() => new ResponseHeadReader({ maxHeaders: 0 })).toThrow(RangeError)
  })
})
