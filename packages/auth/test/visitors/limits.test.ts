import { expect, test } from 'vitest'

import { FailureLimits } from '../../src/limits/failure-limits.ts'
import { hashPassword } from '../../src/visitors/password.ts'
import { PasswordChecks } from '../../src/visitors/password-checks.ts'

test('a source may fail as often as the burst, then once per refill', () => {
  let now = 0
  const limits = new FailureLimits({ burst: 2, refillMs: 100, now: () => now })
  expect([limits.take('192.0.2.1'), limits.take('192.0.2.1')]).toEqual([0, 0])
  expect(limits.take('192.0.2.1')).toBe(100)
  expect(limits.take('::ffff:192.0.2.1')).toBe(100)
  expect(limits.take('192.0.2.2')).toBe(0)
  now = 40
  expect(limits.take('192.0.2.1')).toBe(60)
  now = 100
  expect(limits.take('192.0.2.1')).toBe(0)
  expect(limits.take('192.0.2.1')).toBe(100)
  now = 10_000
  expect([limits.take('192.0.2.1'), limits.take('192.0.2.1')]).toEqual([0, 0])
  expect(limits.take('192.0.2.1')).toBe(100)
})

test('a good attempt is given back, and a source without failures is forgotten', () => {
  const limits = new FailureLimits({ burst: 1, now: () => 0 })
  for (let round = 0; round < 5; round++) {
    expect(limits.take('192.0.2.1')).toBe(0)
    limits.giveBack('192.0.2.1')
  }
  expect(limits.size).toBe(0)
})

test('addresses of one /64 are one source', () => {
  const limits = new FailureLimits({ burst: 1, now: () => 0 })
  expect(limits.take('2001:db8:0:1::1')).toBe(0)
  expect(limits.take('2001:db8:0:1:aaaa:bbbb:cccc:dddd')).toBeGreaterThan(0)
  expect(limits.take('2001:db8:0:2::1')).toBe(0)
})

test('sources that are remembered are bounded', () => {
  const limits = new FailureLimits({ burst: 1, maxSources: 3, now: () => 0 })
  for (let last = 1; last <= 10; last++) limits.take(`192.0.2.${last}`)
  expect(limits.size).toBe(3)
  expect(limits.take('192.0.2.10')).toBeGreaterThan(0)
  expect(limits.take('192.0.2.1')).toBe(0)
})

test('good passwords are remembered for a while, wrong ones never', async () => {
  let now = 0
  const checks = new PasswordChecks({ rememberMs: 100, now: () => now })
  const verifier = await hashPassword('right')
  expect(checks.remembers('right', verifier)).toBe(false)
  expect(await checks.check('right', verifier)).toBe(true)
  expect(await checks.check('wrong', verifier)).toBe(false)
  expect(checks.remembers('right', verifier)).toBe(true)
  expect(checks.remembers('wrong', verifier)).toBe(false)
  expect(checks.remembers('right', await hashPassword('right'))).toBe(false)
  now = 101
  expect(checks.remembers('right', verifier)).toBe(false)
  expect(checks.remembered).toBe(0)
})

test('what is remembered, runs and waits is bounded', async () => {
  const checks = new PasswordChecks({ maxRemembered: 1, maxRunning: 1, maxWaiting: 1 })
  const [a, b] = await Promise.all([hashPassword('a'), hashPassword('b')])
  const first = checks.check('a', a)
  const second = checks.check('b', b)
  expect(checks.check('a', b)).toBeUndefined()
  expect([await first, await second]).toEqual([true, true])
  expect(checks.remembered).toBe(1)
  expect([checks.remembers('a', a), checks.remembers('b', b)]).toEqual([false, true])
  expect(await checks.check('a', b)).toBe(false)
})
