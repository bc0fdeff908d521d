import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { SeenIds } from '../../src/session/seen-ids.ts'

test('accepts numbers in order, each once', () => {
  const seen = new SeenIds()
  for (let i = 0; i < 2000; i++) {
    expect(seen.add(i)).toBe(true)
    expect(seen.add(i)).toBe(false)
    expect(seen.next).toBe(i + 1)
  }
})

test('accepts late numbers, down to 480 below the highest', () => {
  const seen = new SeenIds()
  seen.add(1000)
  expect(seen.add(1001 - 480)).toBe(true)
  expect(seen.add(1001 - 481)).toBe(false)
  expect(seen.add(999)).toBe(true)
  expect(seen.add(999)).toBe(false)
})

test('accepts the highest number', () => {
  const seen = new SeenIds()
  expect(seen.add(2 ** 31 - 1)).toBe(true)
  expect(seen.add(2 ** 31 - 1)).toBe(false)
  expect(seen.add(2 ** 31 - 2)).toBe(true)
  expect(seen.add(5)).toBe(false)
})

test('agrees with a set on every number in the window', () => {
  const jumps = fc.array(
    fc.oneof(fc.integer({ min: -600, max: 40 }), fc.integer({ min: 1, max: 3000 })),
  )
  fc.assert(
    fc.property(jumps, (list) => {
      const seen = new SeenIds()
      const used = new Set<number>()
      for (const jump of list) {
        const index = Math.max(0, seen.next + jump)
        const expected = index >= seen.next || (seen.next - index <= 480 && !used.has(index))
        expect(seen.add(index)).toBe(expected)
        used.add(index)
      }
    }),
  )
})
