import { expect, test } from 'vitest'

import {
  formatBytes,
  formatLimit,
  formatMs,
  hexLines,
  nameOfCharacter,
  UNSEEN,
} from '../src/parts/format.ts'

const plain = (text: string): string => text.replaceAll('\u202f', ' ')

test.each([
  [0, '< 1 ms'],
  [0.99, '< 1 ms'],
  [9.4, '9 ms'],
  [999.4, '999 ms'],
  [999.6, '1.00 s'],
  [1240, '1.24 s'],
  [59_999, '1 m 00 s'],
  [72_000, '1 m 12 s'],
  [11_100_000, '3 h 05 m'],
])('%s ms is %s', (ms, text) => {
  expect(plain(formatMs(ms))).toBe(text)
})

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 KB'],
  [2100, '2.1 KB'],
  [99_600, '100 KB'],
  [999_600, '1.0 MB'],
  [3_400_000, '3.4 MB'],
])('%s bytes are %s', (bytes, text) => {
  expect(plain(formatBytes(bytes))).toBe(text)
})

test('a limit is written as the settings have it', () => {
  expect(plain(formatLimit(67_108_864))).toBe('64 MiB')
  expect(plain(formatLimit(5000))).toBe('5.0 KB')
})

test('what is not drawn has a name', () => {
  for (const character of ['\0', '\u001b', '\u202e', '\u2066', '\u200b', '\ufeff']) {
    expect(UNSEEN.test(`a${character}b`)).toBe(true)
  }
  expect(UNSEEN.test('a\tb ü 漢 \u0627')).toBe(false)
  expect(nameOfCharacter('\u202e')).toBe('U+202E')
})

test('hex lines have offset, bytes and text', () => {
  const lines = hexLines(
    Uint8Array.from({ length: 20 }, (_, at) => at + 60),
    100,
  )
  expect(lines[0]).toBe(
    '00000000  3c 3d 3e 3f 40 41 42 43 44 45 46 47 48 49 4a 4b  <=>?@ABCDEFGHIJK',
  )
  expect(lines[1]).toMatch(/^00000010 {2}4c 4d 4e 4f {38}LMNO$/)
  expect(hexLines(new Uint8Array(100), 32)).toHaveLength(2)
})
