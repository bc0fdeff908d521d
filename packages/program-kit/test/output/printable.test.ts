import { expect, test } from 'vitest'

import { printable } from '../../src/output/printable.ts'

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
