import { expect, test } from 'vitest'

import { hashPassword } from '../../src/visitors/password.ts'
import { PasswordChecks } from '../../src/visitors/password-checks.ts'

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
