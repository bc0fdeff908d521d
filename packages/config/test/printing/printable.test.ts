import { expect, test } from 'vitest'

import { escapeLines, escapeUnprintable, printable } from '../../src/index.ts'

test.for(['web', 'pc-1.lab', 'token:k3v9m2ab', '::1', 'ünï', '日本', 'acme/web', 'a_b~c'])(
  '%s is shown as it is',
  (text) => {
    expect(printable(text)).toBe(text)
  },
)

test.for([
  ['', '""'],
  ['a b', '"a b"'],
  ['\u001b[2J', String.raw`"\u001b[2J"`],
  ['\u009b31m', String.raw`"\u009b31m"`],
  ['\u202egpj.exe', String.raw`"\u202egpj.exe"`],
  ['a\u200bb', String.raw`"a\u200bb"`],
  ['line\nline', String.raw`"line\nline"`],
  ['say "x"', String.raw`"say \"x\""`],
] as const)('%j is shown as %s', ([text, shown]) => {
  expect(printable(text)).toBe(shown)
})

test.for([
  ['a\u0000\u001b\u007fb', String.raw`a\u0000\u001b\u007fb`],
  ['C1: \u0085\u009b2J', String.raw`C1: \u0085\u009b2J`],
  [
    '\u061c\u200e\u200f\u202a\u202e\u2066\u2069',
    String.raw`\u061c\u200e\u200f\u202a\u202e\u2066\u2069`,
  ],
  ['\u2028\u2029\ufeff', String.raw`\u2028\u2029\ufeff`],
  ['half \ud83d of a pair', String.raw`half \ud83d of a pair`],
  ['a line\nanother', String.raw`a line\u000aanother`],
  ['whole 😀, 日本, é, "quoted" \\', 'whole 😀, 日本, é, "quoted" \\'],
] as const)('%j is escaped to %s, and an escaped text stays', ([text, escaped]) => {
  expect(escapeUnprintable(text)).toBe(escaped)
  expect(escapeUnprintable(escaped)).toBe(escaped)
})

test('the ends of lines can be kept', () => {
  expect(escapeLines('a\u009b\nb\r\n')).toBe('a\\u009b\nb\\u000d\n')
})
