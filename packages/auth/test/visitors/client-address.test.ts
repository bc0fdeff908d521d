import { expect, test } from 'vitest'

import { clientAddress } from '../../src/visitors/client-address.ts'

test.each([
  [0, ['X-Forwarded-For', '9.9.9.9'], '127.0.0.1'],
  [1, ['X-Forwarded-For', '6.6.6.6, 9.9.9.9'], '9.9.9.9'],
  [2, ['X-Forwarded-For', '5.5.5.5, 6.6.6.6, 9.9.9.9'], '6.6.6.6'],
  [
    2,
    ['x-forwarded-for', '5.5.5.5', 'Accept', '*/*', 'X-FORWARDED-FOR', '6.6.6.6, 9.9.9.9'],
    '6.6.6.6',
  ],
  [1, ['X_Forwarded_For', '6.6.6.6'], '127.0.0.1'],
  [1, ['Forwarded', 'for=6.6.6.6', 'X-Real-IP', '6.6.6.6'], '127.0.0.1'],
  [1, [], '127.0.0.1'],
  [1, ['X-Forwarded-For', '[2001:db8::1]:4000'], '2001:db8::1'],
  [1, ['X-Forwarded-For', 'unknown'], undefined],
])('behind %d proxies, of %j the client is %s', (trustedHops, headers, client) => {
  expect(clientAddress(headers, '127.0.0.1', trustedHops)).toBe(client)
})
