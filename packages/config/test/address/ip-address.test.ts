import { expect, test } from 'vitest'

import {
  AddressList,
  AddressSet,
  ipv6Groups,
  isLinkLocal,
  isLoopback,
  isLoopbackBind,
  isUnspecified,
  parseAddressBlock,
  parseListenAddress,
  plainAddress,
  unmapIPv4,
} from '../../src/address.ts'

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['192.0.2.1:5000', '192.0.2.1'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['[::ffff:192.0.2.1%eth0]:80', '192.0.2.1'],
  ['::FFFF:c000:0201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:c000:201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
  ['0000::ffff:c000:201', '192.0.2.1'],
  ['::ffff:0:c000:201', '::ffff:0:c000:201'],
  ['64:ff9b::ffff:c000:201', '64:ff9b::ffff:c000:201'],
  ['1::ffff:c000:201', '1::ffff:c000:201'],
  ['unknown', undefined],
  ['', undefined],
  ['192.0.2', undefined],
  ['192.0.2.1:', undefined],
  ['[192.0.2.1', undefined],
  ['2001:db8::1]', undefined],
  ['::ffff:', undefined],
])('%s is the address %s', (text, plain) => {
  expect(plainAddress(text)).toBe(plain)
})

test('only an IPv4 address mapped into IPv6 is unmapped; other texts stay', () => {
  expect(unmapIPv4('::ffff:192.0.2.1')).toBe('192.0.2.1')
  for (const text of ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0', 'ffff:name', '']) {
    expect(unmapIPv4(text)).toBe(text)
  }
})

test.each([
  ['::', [0, 0, 0, 0, 0, 0, 0, 0]],
  ['::1', [0, 0, 0, 0, 0, 0, 0, 1]],
  ['1::', [1, 0, 0, 0, 0, 0, 0, 0]],
  ['2001:DB8::a:0:1%eth0', [0x2001, 0xdb8, 0, 0, 0, 0xa, 0, 1]],
  ['1:2:3:4:5:6:7:8', [1, 2, 3, 4, 5, 6, 7, 8]],
  ['1:2:3:4:5:6:192.0.2.255', [1, 2, 3, 4, 5, 6, 0xc000, 0x2ff]],
  ['::ffff:255.254.253.252', [0, 0, 0, 0, 0, 0xffff, 0xfffe, 0xfdfc]],
])('%s has the groups %j', (address, groups) => {
  expect(ipv6Groups(address)).toEqual(groups)
})

test.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.255.0.9:80', true],
  ['::1', true],
  ['[::1]:80', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['::ffff:7f00:1', true],
  ['128.0.0.1', false],
  ['0.0.0.0', false],
  ['::', false],
  ['::2', false],
  ['1::1', false],
  ['::ffff:10.0.0.1', false],
  ['127.example', false],
  ['127.0.0.1.example', false],
  ['localhost.example', false],
  ['', false],
])('%s is this machine: %s', (host, expected) => {
  expect(isLoopback(host)).toBe(expected)
})

test.for([
  ['127.0.0.1:80', true],
  ['127.9.9.9:80', true],
  ['[::1]:80', true],
  ['localhost:80', true],
  ['tcp6://localhost:80', true],
  ['unix:/run/x.sock', true],
  [':80', false],
  ['0.0.0.0:80', false],
  ['[::]:80', false],
  ['192.168.1.5:80', false],
  ['[fe80::1%eth0]:80', false],
  ['printers.example:80', false],
  ['fd:3', false],
] as const)('%s is reachable from this machine alone: %s', ([address, expected]) => {
  expect(isLoopbackBind(parseListenAddress(address))).toBe(expected)
})

test('deny beats allow, and an allow list admits nobody else', () => {
  const rules = new AddressList({ allow: ['10.0.0.0/8', '2001:db8::/32'], deny: ['10.1.0.0/16'] })
  expect(rules.admits('10.2.3.4')).toBe(true)
  expect(rules.admits('::ffff:10.2.3.4')).toBe(true)
  expect(rules.admits('2001:db8::7')).toBe(true)
  expect(rules.admits('10.1.3.4')).toBe(false)
  expect(rules.admits('::ffff:a01:304')).toBe(false)
  expect(rules.admits('192.0.2.1')).toBe(false)
  expect(rules.admits('2001:db9::7')).toBe(false)
})

test('a deny list alone admits everybody else, but nobody without an address', () => {
  const rules = new AddressList({ deny: ['192.0.2.0/24'] })
  expect(rules.admits('198.51.100.1')).toBe(true)
  expect(rules.admits('192.0.2.77')).toBe(false)
  for (const stranger of [undefined, '', 'unknown', '_hidden', '192.0.2', '1.2.3.4.5']) {
    expect(rules.admits(stranger)).toBe(false)
  }
})

test('an empty allow list admits nobody', () => {
  expect(new AddressList({ allow: [] }).admits('127.0.0.1')).toBe(false)
})

test('a set has the addresses of its blocks, in every spelling', () => {
  const set = new AddressSet(['192.0.2.1', parseAddressBlock('2001:db8::/32')])
  for (const address of ['192.0.2.1', '192.0.2.1:80', '::ffff:192.0.2.1', '[2001:db8::9]:1']) {
    expect(set.has(address)).toBe(true)
  }
  for (const address of ['192.0.2.2', '2001:db9::', 'name', '']) {
    expect(set.has(address)).toBe(false)
  }
})

test.each([
  ['fe80::1', true],
  ['FEBF::1%eth0', true],
  ['169.254.1.1', true],
  ['fec0::1', false],
  ['fe8::1', false],
  ['169.253.1.1', false],
  ['fe80.example', false],
])('%s is link-local: %s', (address, expected) => {
  expect(isLinkLocal(address)).toBe(expected)
})

test.each([
  ['0.0.0.0', true],
  ['::', true],
  ['::1', false],
  ['127.0.0.1', false],
])('%s is unspecified: %s', (address, expected) => {
  expect(isUnspecified(address)).toBe(expected)
})
