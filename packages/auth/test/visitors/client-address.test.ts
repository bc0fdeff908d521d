import { expect, test } from 'vitest'

import { clientAddress, countTrustedHops } from '../../src/visitors/client-address.ts'

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

test.each([
  ['forwarded', ['Forwarded', 'for=6.6.6.6, for=9.9.9.9', 'X-Forwarded-For', '1.1.1.1'], '9.9.9.9'],
  ['forwarded', ['Forwarded', 'for="[2001:db8::1]:4000"'], '2001:db8::1'],
  ['forwarded', ['Forwarded', 'for=unknown'], undefined],
  ['forwarded', ['Forwarded', 'proto=https'], undefined],
  // The visitor must not hide what the proxy appends, and so come from the address of the proxy.
  ['forwarded', ['Forwarded', '9.9.9.9'], undefined],
  ['forwarded', ['Forwarded', 'for="6.6.6.6, for=9.9.9.9'], undefined],
  ['forwarded', ['Forwarded', 'x', 'Forwarded', 'for=9.9.9.9'], undefined],
  ['forwarded', ['X-Forwarded-For', '9.9.9.9'], '127.0.0.1'],
  ['x-forwarded-for', ['Forwarded', 'for=9.9.9.9'], '127.0.0.1'],
] as const)('behind a proxy that writes %s, of %j the client is %s', (header, headers, client) => {
  expect(clientAddress(headers, '127.0.0.1', 1, header)).toBe(client)
})

test.each([
  [[], 1],
  [['X-Forwarded-For', '9.9.9.9'], 1],
  [['X-Forwarded-For', '10.0.0.1'], 1],
  [['X-Forwarded-For', '9.9.9.9, 10.0.0.1'], 2],
  [['X-Forwarded-For', '10.0.0.1, 9.9.9.9, 10.0.0.2'], 2],
  [['X-Forwarded-For', '10.0.0.1, 10.0.0.2'], 2],
  [['X-Forwarded-For', '9.9.9.9, ::ffff:10.0.0.1, 10.0.0.2'], 3],
  [['X-Forwarded-For', '9.9.9.9, unknown, 10.0.0.2'], 2],
  [['X-Forwarded-For', '9.9.9.9', 'x-forwarded-for', '10.0.0.2:99'], 2],
])('of %j the entries of trusted proxies are the last %i', (headers, hops) => {
  const isTrusted = (address: string): boolean => address.startsWith('10.')
  expect(countTrustedHops(headers, isTrusted, 'x-forwarded-for')).toBe(hops)
})
