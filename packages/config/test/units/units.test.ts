import { expect, test } from 'vitest'

import {
  formatDuration,
  formatRate,
  formatSize,
  parseDuration,
  parseRate,
  parseSize,
  ratePerSecond,
} from '../../src/index.ts'
import {
  formatAddressBlock,
  formatPortRange,
  listenAddressesOverlap,
  parseAddressBlock,
  parseListenAddress,
  parsePortRange,
} from '../../src/address.ts'

test.each([
  ['0', 0, '0s'],
  ['0s', 0, '0s'],
  ['500ms', 500, '500ms'],
  ['30s', 30_000, '30s'],
  ['1m30s', 90_000, '1m30s'],
  ['90s', 90_000, '1m30s'],
  ['1.5h', 5_400_000, '1h30m'],
  ['0.07s', 70, '70ms'],
  ['2d', 172_800_000, '2d'],
  ['1d2h3m4s5ms', 93_784_005, '1d2h3m4s5ms'],
  ['36525d', 3_155_760_000_000, '36525d'],
  ['inf', Infinity, 'inf'],
])('reads the duration %s', (text, durationMs, canonical) => {
  expect(parseDuration(text)).toBe(durationMs)
  expect(formatDuration(durationMs)).toBe(canonical)
})

test.each([
  ['30', '"30" is not a duration: the unit is missing', 'write 30s or 30ms'],
  ['1.5', '"1.5" is not a duration: the unit is missing', undefined],
  ['-1s', '"-1s" is not a duration: a duration is not negative; inf means no limit', undefined],
  ['1s2m', '"1s2m" is not a duration: units go from large to small, each once', undefined],
  ['1s1s', '"1s1s" is not a duration: units go from large to small, each once', undefined],
  ['0.5ms', '"0.5ms" is not a duration: the smallest step is 1ms', undefined],
  ['5us', '"5us" is not a duration: the smallest unit is ms', undefined],
  [
    '36525d1ms',
    '"36525d1ms" is not a duration: the longest is 36525d; inf means no limit',
    undefined,
  ],
  ['', '"" is not a duration', undefined],
  ['1 s', '"1 s" is not a duration', undefined],
  ['1S', '"1S" is not a duration', undefined],
  ['Infinity', '"Infinity" is not a duration', undefined],
  ['.5s', '".5s" is not a duration', undefined],
])('refuses the duration %j', (text, message, hint) => {
  const usual = 'write a number with a unit (ms, s, m, h, d), such as 30s or 1m30s'
  expect(() => parseDuration(text)).toThrow(
    expect.objectContaining({ code: 'CONFIG_DURATION_INVALID', message, hint: hint ?? usual }),
  )
})

test.each([
  ['0', 0, '0B'],
  ['512B', 512, '512B'],
  ['64KiB', 65_536, '64KiB'],
  ['64kib', 65_536, '64KiB'],
  ['10MB', 10_000_000, '10MB'],
  ['1.5GiB', 1_610_612_736, '1536MiB'],
  ['1000B', 1000, '1kB'],
  ['1024KiB', 1_048_576, '1MiB'],
  ['inf', Infinity, 'inf'],
])('reads the size %s', (text, bytes, canonical) => {
  expect(parseSize(text)).toBe(bytes)
  expect(formatSize(bytes)).toBe(canonical)
})

test.each([
  ['64', '"64" is not a size: the unit is missing'],
  ['64K', '"64K" is not a size: K could be kB or KiB'],
  ['1m', '"1m" is not a size: m could be MB or MiB'],
  ['1.3B', '"1.3B" is not a size: it is not a whole number of bytes'],
  ['9000000TB', '"9000000TB" is not a size: it is too large; inf means no limit'],
  ['64 KiB', '"64 KiB" is not a size'],
  ['-1B', '"-1B" is not a size'],
  ['KiB', '"KiB" is not a size'],
  ['1XB', '"1XB" is not a size'],
])('refuses the size %j', (text, message) => {
  expect(() => parseSize(text)).toThrow(
    expect.objectContaining({ code: 'CONFIG_SIZE_INVALID', message }),
  )
})

test.each([
  ['100/s', 'events', { amount: 100, periodMs: 1000 }, '100/s'],
  ['20/m', 'events', { amount: 20, periodMs: 60_000 }, '20/m'],
  ['5/10s', 'events', { amount: 5, periodMs: 10_000 }, '5/10s'],
  ['0/s', 'events', { amount: 0, periodMs: 1000 }, '0/s'],
  ['10MB/s', 'bytes', { amount: 10_000_000, periodMs: 1000 }, '10MB/s'],
  ['64KiB/100ms', 'bytes', { amount: 65_536, periodMs: 100 }, '64KiB/100ms'],
  ['inf', 'bytes', { amount: Infinity, periodMs: 1000 }, 'inf'],
] as const)('reads the rate %s', (text, unit, rate, canonical) => {
  expect(parseRate(text, unit)).toEqual(rate)
  expect(formatRate(rate, unit)).toBe(canonical)
})

test.each([
  ['100', 'events'],
  ['100/0s', 'events'],
  ['100/inf', 'events'],
  ['inf/s', 'bytes'],
  ['1/s/s', 'events'],
  ['1.5/s', 'events'],
  ['64KiB/s', 'events'],
  ['100/s', 'bytes'],
] as const)('refuses the rate %s of %s', (text, unit) => {
  expect(() => parseRate(text, unit)).toThrow(
    expect.objectContaining({ code: 'CONFIG_RATE_INVALID', message: `"${text}" is not a rate` }),
  )
})

test('compares rates per second', () => {
  expect(ratePerSecond({ amount: 60, periodMs: 60_000 })).toBe(1)
  expect(ratePerSecond({ amount: Infinity, periodMs: 1000 })).toBe(Infinity)
})

test.each([[-1], [0.5], [NaN], [2 ** 53]])('refuses to format %d', (number) => {
  expect(() => formatDuration(number)).toThrow(RangeError)
  expect(() => formatSize(number)).toThrow(RangeError)
})

test('reads ports and ranges of ports', () => {
  expect(parsePortRange('9901')).toEqual({ first: 9901, last: 9901 })
  expect(parsePortRange('9900-9999')).toEqual({ first: 9900, last: 9999 })
  expect(formatPortRange(parsePortRange('9900-9999'))).toBe('9900-9999')
  expect(formatPortRange(parsePortRange('9900-9900'))).toBe('9900')
})

test.each(['', '0', '65536', '1-', '-1', '1-2-3', '01', '1 - 2'])(
  'refuses the ports %j',
  (text) => {
    expect(() => parsePortRange(text)).toThrow(
      expect.objectContaining({ code: 'CONFIG_PORT_INVALID', hint: 'write 9901 or 9900-9999' }),
    )
  },
)

test('shows a backward range the right way round', () => {
  expect(() => parsePortRange('9-5')).toThrow(
    expect.objectContaining({ message: 'range "9-5" runs backwards', hint: 'write 5-9' }),
  )
})

test.each([
  ['10.0.0.0/8', { address: '10.0.0.0', prefix: 8, family: 'ipv4' }],
  ['192.0.2.7', { address: '192.0.2.7', prefix: 32, family: 'ipv4' }],
  ['fe80::/10', { address: 'fe80::', prefix: 10, family: 'ipv6' }],
  ['2001:db8::/32', { address: '2001:db8::', prefix: 32, family: 'ipv6' }],
  ['0.0.0.0/0', { address: '0.0.0.0', prefix: 0, family: 'ipv4' }],
])('reads the block %s', (text, block) => {
  expect(parseAddressBlock(text)).toEqual(block)
  expect(formatAddressBlock(parseAddressBlock(text))).toBe(text)
})

test.each([
  '',
  'name',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/08',
  '::/129',
  'fe80::1%eth0',
  '10.0/8',
])('refuses the block %j', (text) => {
  expect(() => parseAddressBlock(text)).toThrow(
    expect.objectContaining({ code: 'CONFIG_ADDRESS_INVALID' }),
  )
})

test.each([
  [':80', '127.0.0.1:80', true],
  [':80', '[::1]:80', true],
  ['0.0.0.0:80', '[::]:80', true],
  ['0.0.0.0:80', 'tcp6://[::]:80', false],
  ['127.0.0.1:80', '[::1]:80', false],
  ['localhost:80', '[::1]:80', true],
  ['127.0.0.1:80', '127.0.0.2:80', false],
  [':80', ':81', false],
  [':0', ':0', false],
  ['a:80', 'a:80', true],
  ['a:80', 'b:80', false],
  ['unix:/a', 'unix:/a', true],
  ['unix:/a', 'unix:/b', false],
  ['fd:3', 'fd:3', true],
  ['fd:3', ':80', false],
])('knows whether %s and %s overlap', (a, b, overlap) => {
  const [left, right] = [parseListenAddress(a), parseListenAddress(b)]
  expect(listenAddressesOverlap(left, right)).toBe(overlap)
  expect(listenAddressesOverlap(right, left)).toBe(overlap)
})
