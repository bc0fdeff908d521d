import { expect, test } from 'vitest'

import { FailureLimits } from '../../src/limits/failure-limits.ts'
import { Gate } from '../../src/visitors/gate.ts'
import { PasswordChecks } from '../../src/visitors/password-checks.ts'

test('gates that demand different tokens are different', () => {
  const parts = { checks: new PasswordChecks(), failures: new FailureLimits() }
  const idOf = (audience: string): string =>
    new Gate({ jwt: { hmacSecretKey: 'secret', audience } }, parts).id
  expect(idOf('us')).toBe(idOf('us'))
  expect(idOf('us')).not.toBe(idOf('them'))
})
