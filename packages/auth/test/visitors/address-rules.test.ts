import { expect, test } from 'vitest'

import { AddressRules, plainAddress } from '../../src/visitors/address-rules.ts'
import { clientAddress } from '../../src/visitors/client-address.ts'

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.1:5000', '192.0.2.1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:0201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:c000:201', '192.0.2.1'],
  ['unknown', 'unknown'],
])('%s is read as %s', (text, plain) => {
  expect(plainAddress(text)).toBe(plain)
})

test('deny beats allow, and an allow list admits nobody else', () => {
  const rules = new AddressRules(['10.0.0.0/8', '2001:db8::/32'], ['10.1.0.0/16'])
  expect(rules.admits('10.2.3.4')).toBe(true)
  expect(rules.admits('::ffff:10.2.3.4')).toBe(true)
  expect(rules.admits('2001:db8::7')).toBe(true)
  expect(rules.admits('10.1.3.4')).toBe(false)
  expect(rules.admits('::ffff:a01:304')).toBe(false)
  expect(rules.admits('192.0.2.1')).toBe(false)
  expect(rules.admits('2001:db9::7')).toBe(false)
})

test('a deny list alone admits everybody else, but nobody without an address', () => {
  const rules = new AddressRules(undefined, ['192.0.2.0/24'])
  expect(rules.admits('198.51.100.1')).toBe(true)
  expect(rules.admits('192.0.2.77')).toBe(false)
  for (const stranger of [undefined, '', 'unknown', '_hidden', '192.0.2', '1.2.3.4.5']) {
    expect(rules.admits(stranger)).toBe(false)
  }
})

test('an empty allow list admits nobody', () => {
  expect(new AddressRules([], []).admits('127.0.0.1')).toBe(false)
})

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
