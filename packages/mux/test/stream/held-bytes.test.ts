import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { HeldBytes } from '../../src/stream/held-bytes.ts'

function drain(held: HeldBytes): Buffer[] {
  const pieces: Buffer[] = []
  for (let piece = held.shift(); piece !== undefined; piece = held.shift()) pieces.push(piece)
  return pieces
}

test('returns the same bytes in the same order', () => {
  const piece = fc
    .uint8Array({ maxLength: 20_000, minLength: 1 })
    .map((array) => Buffer.from(array))
  fc.assert(
    fc.property(fc.array(fc.option(piece), { maxLength: 30 }), (steps) => {
      const held = new HeldBytes()
      const [pushed, shifted]: Buffer[][] = [[], []]
      for (const step of steps) {
        if (step !== null) {
          held.push(step)
          pushed?.push(step)
        } else {
          const piece = held.shift()
          if (piece !== undefined) shifted?.push(piece)
        }
      }
      const all = Buffer.concat([...(shifted ?? []), ...drain(held)])
      expect(all.equals(Buffer.concat(pushed ?? []))).toBe(true)
      expect(held.bytes).toBe(0)
    }),
  )
})

test('keeps large pieces as they are and copies small ones out of their chunk', () => {
  const held = new HeldBytes()
  const chunk = Buffer.alloc(65_536)
  held.push(chunk.subarray(0, 8192))
  held.push(chunk.subarray(0, 8191))
  const [large, small] = drain(held)
  expect(large?.buffer).toBe(chunk.buffer)
  expect(small?.buffer).not.toBe(chunk.buffer)
})

test('holds a window of single bytes in a few blocks', () => {
  const held = new HeldBytes()
  for (let i = 0; i < 262_144; i++) held.push(Buffer.of(i & 255))
  expect(held.bytes).toBe(262_144)
  expect(drain(held).length).toBe(16)
})

test('clear returns how much it drops', () => {
  const held = new HeldBytes()
  held.push(Buffer.from('abc'))
  expect([held.clear(), held.bytes, held.shift()]).toEqual([3, 0, undefined])
})
