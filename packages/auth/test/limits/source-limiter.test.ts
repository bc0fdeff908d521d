import { sourceOf } from '@proj/config/address'
import { describe, expect, it, test } from 'vitest'
import { SourceLimiter } from '../../src/limits/source-limiter.ts'

describe('sourceOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::9', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::2:3:4:5', '2001:db8:0:0::/64'],
    ['1::2:3:4:5:6:7', '1:0:2:3::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['::1:2:3:192.0.2.1', '0:0:0:1::/64'],
    ['', ''],
    ['@', ''],
    [undefined, ''],
  ])('of %s is %s', (address, source) => {
    expect(sourceOf(address)).toBe(source)
  })
})

describe('SourceLimiter', () => {
  function limiter(options: { burst: number; perMinute: number; maxSources?: number }) {
    const clock = { time: 1_000_000.3 }
    return { clock, limiter: new SourceLimiter({ ...options, now: () => clock.time }) }
  }

  it('lets a burst through and then as many as are refilled', () => {
    const { clock, limiter: one } = limiter({ burst: 3, perMinute: 60 })
    for (let taken = 0; taken < 3; taken++) {
      expect(one.waitMs('192.0.2.1')).toBe(0)
      one.take('192.0.2.1')
    }
    expect(one.waitMs('192.0.2.1')).toBe(1000)
    expect(one.waitMs('192.0.2.2')).toBe(0)
    clock.time += 999
    expect(one.waitMs('192.0.2.1')).toBe(1)
    clock.time += 1
    expect(one.waitMs('192.0.2.1')).toBe(0)
    one.take('192.0.2.1')
    expect(one.waitMs('192.0.2.1')).toBe(1000)
    clock.time += 3000
    for (let taken = 0; taken < 3; taken++) one.take('192.0.2.1')
    expect(one.waitMs('192.0.2.1')).toBe(1000)
  })

  it('takes a time back, down to none', () => {
    const { limiter: one } = limiter({ burst: 2, perMinute: 60 })
    for (let taken = 0; taken < 2; taken++) one.take('192.0.2.1')
    one.giveBack('192.0.2.1')
    expect(one.waitMs('192.0.2.1')).toBe(0)
    one.take('192.0.2.1')
    expect(one.waitMs('192.0.2.1')).toBe(1000)
    for (let given = 0; given < 4; given++) one.giveBack('192.0.2.1')
    expect(one.size).toBe(0)
    for (let taken = 0; taken < 2; taken++) one.take('192.0.2.1')
    expect(one.waitMs('192.0.2.1')).toBe(1000)
  })

  it('counts a /64 as one', () => {
    const { limiter: one } = limiter({ burst: 1, perMinute: 1 })
    one.take('2001:db8:0:1::a')
    expect(one.waitMs('2001:db8:0:1:ffff::b')).toBe(60_000)
    expect(one.waitMs('2001:db8:0:2::a')).toBe(0)
  })

  it('owes no more than one burst, however much is taken', () => {
    const { clock, limiter: one } = limiter({ burst: 2, perMinute: 60 })
    for (let taken = 0; taken < 100; taken++) one.take('192.0.2.1')
    expect(one.waitMs('192.0.2.1')).toBe(1000)
    clock.time += 2000
    expect(one.waitMs('192.0.2.1')).toBe(0)
  })

  it('forgets sources whose bucket is full, and never remembers more than it may', () => {
    const { clock, limiter: one } = limiter({ burst: 1, perMinute: 60, maxSources: 3 })
    for (let host = 1; host <= 10; host++) one.take(`192.0.2.${host}`)
    expect(one.size).toBe(3)
    expect(one.waitMs('192.0.2.7')).toBe(0)
    expect(one.waitMs('192.0.2.8')).toBe(1000)
    clock.time += 1000
    one.take('192.0.2.11')
    expect(one.size).toBe(1)
  })

  it('remembers the source that came last', () => {
    const { limiter: one } = limiter({ burst: 5, perMinute: 1, maxSources: 2 })
    one.take('192.0.2.1')
    one.take('192.0.2.2')
    one.take('192.0.2.1')
    one.take('192.0.2.3')
    for (let taken = 0; taken < 3; taken++) one.take('192.0.2.1')
    expect(one.waitMs('192.0.2.1')).toBe(60_000)
  })

  it.each(['burst', 'perMinute', 'maxSources'])('refuses a %s that is not above 0', (name) => {
    for (const value of [0, -1, NaN]) {
      expect(() => limiter({ burst: 1, perMinute: 1, [name]: value })).toThrow(
        new RangeError(`${name} must be above 0, got ${value}`),
      )
    }
  })
})

// What is given back when an attempt was good.
test('a source may fail as often as the burst, then once per refill', () => {
  let now = 0
  const limits = new SourceLimiter({ burst: 2, perMinute: 600, now: () => now })
  expect([limits.tryTake('192.0.2.1'), limits.tryTake('192.0.2.1')]).toEqual([0, 0])
  expect(limits.tryTake('192.0.2.1')).toBe(100)
  expect(limits.tryTake('::ffff:192.0.2.1')).toBe(100)
  expect(limits.tryTake('192.0.2.2')).toBe(0)
  now = 40
  expect(limits.tryTake('192.0.2.1')).toBe(60)
  now = 100
  expect(limits.tryTake('192.0.2.1')).toBe(0)
  expect(limits.tryTake('192.0.2.1')).toBe(100)
  now = 10_000
  expect([limits.tryTake('192.0.2.1'), limits.tryTake('192.0.2.1')]).toEqual([0, 0])
  expect(limits.tryTake('192.0.2.1')).toBe(100)
})

test('a good attempt is given back, and a source without failures is forgotten', () => {
  const limits = new SourceLimiter({ burst: 1, perMinute: 10, now: () => 0 })
  for (let round = 0; round < 5; round++) {
    expect(limits.tryTake('192.0.2.1')).toBe(0)
    limits.giveBack('192.0.2.1')
  }
  expect(limits.size).toBe(0)
})

test('addresses of one /64 are one source', () => {
  const limits = new SourceLimiter({ burst: 1, perMinute: 10, now: () => 0 })
  expect(limits.tryTake('2001:db8:0:1::1')).toBe(0)
  expect(limits.tryTake('2001:db8:0:1:aaaa:bbbb:cccc:dddd')).toBeGreaterThan(0)
  expect(limits.tryTake('2001:db8:0:2::1')).toBe(0)
})

test('sources that are remembered are bounded', () => {
  const limits = new SourceLimiter({ burst: 1, perMinute: 10, maxSources: 3, now: () => 0 })
  for (let last = 1; last <= 10; last++) limits.tryTake(`192.0.2.${last}`)
  expect(limits.size).toBe(3)
  expect(limits.tryTake('192.0.2.10')).toBeGreaterThan(0)
  expect(limits.tryTake('192.0.2.1')).toBe(0)
})
