import { expect, test } from 'vitest'

import {
  parseDescriptorLimit,
  readDescriptorLimit,
  shareDescriptors,
  visitorDescriptors,
} from '../src/descriptors.ts'

const HEAD = 'Limit                     Soft Limit           Hard Limit           Units     \n'

test.for([
  ['Max open files            1024                 4096                 files     \n', 1024],
  ['Max open files            unlimited            unlimited            files     \n', Infinity],
  ['Max processes             7                    7                    processes \n', 10_240],
] as const)('%s', ([line, limit]) => expect(parseDescriptorLimit(HEAD + line)).toBe(limit))

test.for([
  [64, 1],
  [256, 160],
  [1024, 768],
  [Infinity, Infinity],
] as const)('of %i descriptors %i are for visitors', ([limit, visitors]) => {
  expect(visitorDescriptors(limit)).toBe(visitors)
})

test.for([
  [64, 0, 2],
  [256, 0, 192],
  [256, 3, 168],
  [1024, 0, 944],
  [1024, 3, 848],
  [Infinity, 3, Infinity],
] as const)(
  'of %i descriptors with %i TLS ports %i are for visitors and agents',
  ([limit, tlsPorts, all]) => {
    expect(shareDescriptors(limit, tlsPorts).all).toBe(all)
  },
)

test.runIf(process.platform === 'linux')('the limit of this process is read', () => {
  expect(readDescriptorLimit()).toBeGreaterThan(0)
})
