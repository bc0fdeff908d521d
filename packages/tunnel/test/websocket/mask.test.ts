import { createRequire } from 'node:module'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { loadNativeMasker, WORD_MASKER, xorInPlace, xorInto } from '../../src/websocket/mask.ts'
import { MaskKeys } from '../../src/websocket/mask.ts'

/** The rule of RFC 6455 section 5.3, word for word. */
function masked(bytes: Uint8Array, key: number, phase = 0): Buffer {
  return Buffer.from(bytes.map((byte, i) => byte ^ (key >>> (8 * ((i + phase) & 3)))))
}

const anyKey = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const anyBytes = fc.uint8Array({ maxLength: 600 })

/** A view of the bytes at any alignment, with room around it. */
function unaligned(bytes: Uint8Array, lead: number): Buffer {
  const room = new Uint8Array(bytes.length + 32)
  room.set(bytes, lead)
  return Buffer.from(room.buffer, lead, bytes.length)
}

test('masks in place as RFC 6455 says, at every alignment and length', () => {
  fc.assert(
    fc.property(anyBytes, anyKey, fc.nat({ max: 15 }), (bytes, key, lead) => {
      const view = unaligned(bytes, lead)
      xorInPlace(view, key)
      expect(view.equals(masked(bytes, key))).toBe(true)
    }),
  )
})

test('the key it returns goes on where the last piece stopped', () => {
  fc.assert(
    fc.property(fc.array(anyBytes, { maxLength: 6 }), anyKey, (pieces, key) => {
      const whole = Buffer.concat(pieces)
      let next = key
      const got = pieces.map((piece) => {
        const copy = Buffer.from(piece)
        next = xorInPlace(copy, next)
        return copy
      })
      expect(Buffer.concat(got).equals(masked(whole, key))).toBe(true)
    }),
  )
})

test('masks into another buffer and leaves the source alone', () => {
  fc.assert(
    fc.property(anyBytes, anyBytes, anyKey, fc.nat({ max: 15 }), (first, second, key, lead) => {
      const sources = [Buffer.from(first), Buffer.from(second)] as const
      const target = Buffer.alloc(lead + first.length + second.length + 3)
      const next = xorInto(sources[0], target, lead, key)
      xorInto(sources[1], target, lead + first.length, next)
      const whole = Buffer.concat([first, second])
      expect(target.subarray(lead, -3).equals(masked(whole, key))).toBe(true)
      expect([...target.subarray(0, lead), ...target.subarray(-3)].every((b) => b === 0)).toBe(true)
      expect(Buffer.concat(sources).equals(whole)).toBe(true)
    }),
  )
})

test('words mask exactly as the native helper does', () => {
  const native = loadNativeMasker() ?? WORD_MASKER
  fc.assert(
    fc.property(anyBytes, anyKey, fc.nat({ max: 7 }), (bytes, key, lead) => {
      const keyBytes = Buffer.alloc(4)
      keyBytes.writeInt32LE(key)
      const one = unaligned(bytes, lead)
      const two = unaligned(bytes, lead)
      native.unmask(one, keyBytes)
      WORD_MASKER.unmask(two, keyBytes)
      expect(two.equals(one)).toBe(true)
      const targets = [
        Buffer.alloc(bytes.length + lead),
        Buffer.alloc(bytes.length + lead),
      ] as const
      native.mask(one, keyBytes, targets[0], lead, one.length)
      WORD_MASKER.mask(one, keyBytes, targets[1], lead, one.length)
      expect(targets[1].equals(targets[0])).toBe(true)
    }),
  )
})

test('the native helper is refused where it is absent or only a byte loop', () => {
  const absent = (): never => {
    throw new Error('cannot find module')
  }
  expect(loadNativeMasker(absent)).toBeUndefined()
  const require = createRequire(import.meta.url)
  expect(loadNativeMasker(() => require('bufferutil/fallback.js'))).toBeUndefined()
})

test('keys differ, beyond one draw', () => {
  const keys = new MaskKeys()
  const seen = new Set(Array.from({ length: 3000 }, () => keys.next()))
  expect(seen.size).toBeGreaterThan(2990)
})
