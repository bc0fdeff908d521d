import { expect, test } from 'vitest'

import { isDenial } from '../../src/server/authorization.ts'
import { allowAll } from '../../src/server/authorization.ts'

test('without an authority everyone may do everything', () => {
  const grant = allowAll()
  expect(isDenial(grant)).toBe(false)
  expect(grant.permits('listen', 'web')).toBe(true)
  expect(grant.permits('connect', 'web')).toBe(true)
})

test('a denial is told from a grant by its status', () => {
  expect(isDenial({ status: 401, error: 'invalid token' })).toBe(true)
})
