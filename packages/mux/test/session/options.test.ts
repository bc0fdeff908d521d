import { describe, expect, test } from 'vitest'
import { DEFAULTS, resolveOptions, type SessionOptions } from '../../src/index.ts'

const role = 'client'

describe('resolveOptions', () => {
  test('fills in the defaults, also for undefined options', () => {
    const options = { role, maxInboundStreams: undefined } as unknown as SessionOptions
    expect(resolveOptions(options)).toMatchObject(DEFAULTS)
  })

  test('returns a new object and does not change the given one', () => {
    const options = Object.freeze({ role, maxInboundStreams: 7 } as const)
    const resolved = resolveOptions(options)
    expect(resolved).not.toBe(options)
    expect(resolved.maxInboundStreams).toBe(7)
  })

  const MIB64 = 64 * 1_048_576
  test.each([
    ['initialWindowBytes', 262_144, MIB64],
    ['longPathWindowBytes', 262_144, 2 ** 31],
    ['maxStreamWindowBytes', 262_144, 2 ** 31],
    ['maxUnackedStreams', 1, 256],
    ['writeHighWaterBytes', 1, 2 ** 31],
    ['maxQueuedBytes', 1, 2 ** 31],
    ['maxQueuedControlFrames', 16, 2 ** 20],
    ['lingerTimeoutMs', 1, 600_000],
    ['disposeGraceMs', 0, 600_000],
  ] as const)('%s is an integer from %i to %i', (name, min, max) => {
    for (const value of [min, max]) {
      const wide = name === 'longPathWindowBytes' && { maxStreamWindowBytes: 2 ** 31 }
      expect(resolveOptions({ role, ...wide, [name]: value })[name]).toBe(value)
    }
    for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, Infinity, -Infinity]) {
      expect(() => resolveOptions({ role, [name]: value })).toThrow(
        new RangeError(`${name} must be an integer from ${min} to ${max}, got ${value}`),
      )
    }
  })

  test('refusalReason fits into its field', () => {
    for (const value of [0, 2 ** 32 - 1]) {
      expect(resolveOptions({ role, refusalReason: value }).refusalReason).toBe(value)
    }
    for (const value of [-1, 2 ** 32, 0.5, Number.NaN]) {
      expect(() => resolveOptions({ role, refusalReason: value })).toThrow(RangeError)
    }
  })

  test.each([
    ['maxSessionGrowthBytes', 0],
    ['maxInboundStreams', 0],
    ['maxOutboundStreams', 0],
    ['acceptBacklog', 0],
    ['maxPingsPerSecond', 0],
    ['maxIdleFramesPerSecond', 0],
    ['keepAliveIntervalMs', 1],
    ['keepAliveTimeoutMs', 1],
    ['ackTimeoutMs', 1],
    ['halfClosedTimeoutMs', 1],
  ] as const)('%s is an integer of at least %i, or Infinity', (name, min) => {
    for (const value of [min, 2 ** 40, Infinity]) {
      expect(resolveOptions({ role, [name]: value })[name]).toBe(value)
    }
    for (const value of [min - 1, min + 0.5, Number.NaN]) {
      expect(() => resolveOptions({ role, [name]: value })).toThrow(RangeError)
    }
  })

  test('an initial window cannot be larger than the largest', () => {
    expect(() =>
      resolveOptions({ role, initialWindowBytes: 600_000, maxStreamWindowBytes: 500_000 }),
    ).toThrow('initialWindowBytes must be an integer from 262144 to 500000, got 600000')
  })

  test('the window of a long path is no larger than the largest', () => {
    const { longPathWindowBytes } = resolveOptions({ role, maxStreamWindowBytes: 500_000 })
    expect(longPathWindowBytes).toBe(500_000)
  })

  test.each([
    [{}, "role must be 'client' or 'server', got undefined"],
    [{ role: 'peer' }, "role must be 'client' or 'server', got peer"],
    [{ role, onChannel: 5 }, 'onChannel must be a function'],
    [{ role, maxQueuedBytes: '5' }, 'maxQueuedBytes must be a number, got string'],
  ])('refuses %j', (options, message) => {
    expect(() => resolveOptions(options as SessionOptions)).toThrow(new TypeError(message))
  })
})
