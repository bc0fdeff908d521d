import { expect, test } from 'vitest'

import { roughSize } from '../../src/output/rough-size.ts'

test.for([
  [0, '0B'],
  [1, '1B'],
  [1000, '1000B'],
  [1023, '1023B'],
  [1024, '1KiB'],
  [2047, '1KiB'],
  [1024 * 1024 - 1, '1023KiB'],
  [7 * 1024 ** 2, '7MiB'],
  [1024 ** 5, '1024TiB'],
] as const)('%i bytes are %s for people', ([bytes, text]) => {
  expect(roughSize(bytes)).toBe(text)
})
