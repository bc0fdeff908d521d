import { describe, expect, it } from 'vitest'
import { HTTP_LIMITS, type HttpLimits, resolveHttpLimits } from '../src/limits.ts'
import { RequestHeadReader } from '../src/request-head.ts'
import { ResponseHeadReader } from '../src/response-head.ts'

const RANGES: readonly (readonly [keyof HttpLimits, number, number])[] = [
  ['maxHeadBytes', 64, 16_777_216],
  ['maxHeaders', 1, 65_536],
  ['maxChunkExtensionBytes', 0, 65_536],
  ['maxTrailerBytes', 2, 16_777_216],
]

const DEFAULTS = {
  maxHeadBytes: 32_768,
  maxHeaders: 512,
  maxChunkExtensionBytes: 256,
  maxTrailerBytes: 8_192,
}

describe('resolveHttpLimits', () => {
  it('fills in the defaults and does not keep the argument', () => {
    expect(resolveHttpLimits()).toEqual(DEFAULTS)
    expect(Object.isFrozen(resolveHttpLimits())).toBe(true)
    expect(resolveHttpLimits(DEFAULTS)).not.toBe(DEFAULTS)
    expect(resolveHttpLimits({ maxHeaders: 5 })).toEqual({ ...DEFAULTS, maxHeaders: 5 })
    expect(Object.isFrozen(HTTP_LIMITS)).toBe(true)
  })

  it.each(RANGES)('accepts %s from %i to %i', (name, min, max) => {
    expect(HTTP_LIMITS[name]).toEqual({ default: DEFAULTS[name], min, max })
    expect(resolveHttpLimits({ [name]: min })[name]).toBe(min)
    expect(resolveHttpLimits({ [name]: max })[name]).toBe(max)
    for (const value of [min - 1, max + 1, min + 0.5, NaN, Infinity]) {
      expect(() => resolveHttpLimits({ [name]: value })).toThrow(
        new RangeError(`${name} must be an integer from ${min} to ${max}, got ${value}`),
      )
    }
  })

  it('is called when a reader is made', () => {
    expect(() => new RequestHeadReader({ maxHeadBytes: 1 })).toThrow(RangeError)
    expect(() => new ResponseHeadReader({ maxHeaders: 0 })).toThrow(RangeError)
  })
})
