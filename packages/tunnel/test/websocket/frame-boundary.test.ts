import { array, assert, boolean, infiniteStream, nat, property, tuple } from 'fast-check'
import { expect, test } from 'vitest'

import { FrameBoundary, formatCloseFrame } from '../../src/websocket/frame-boundary.ts'
import { frameHeaderBytes, OPCODES, writeFrameHeader } from '../../src/websocket/frame.ts'

function frame(opcode: number, payloadBytes: number, isMasked: boolean): Buffer {
  const headBytes = frameHeaderBytes(payloadBytes, isMasked)
  // A payload that looks like headers all the way.
  const bytes = Buffer.alloc(headBytes + payloadBytes, 0x81)
  writeFrameHeader(bytes, 0, opcode, payloadBytes, isMasked ? 0x0102_0304 : undefined)
  return bytes
}

test('a Close frame has code and reason', () => {
  expect(formatCloseFrame(1001, 'bye').toString('hex')).toBe('880503e9627965')
})

test('a byte short of its end, no frame is whole', () => {
  for (const bytes of [0, 1, 125, 126, 127, 65_535, 65_536]) {
    for (const isMasked of [false, true]) {
      const whole = frame(OPCODES.binary, bytes, isMasked)
      const boundary = new FrameBoundary()
      let times = 0
      for (let at = 0; at < whole.length; at += 1) {
        if (boundary.isBetweenFrames) times += 1
        boundary.take(whole.subarray(at, at + 1))
      }
      expect(times).toBe(1) // before the first byte
      expect(boundary.isBetweenFrames).toBe(true)
    }
  }
})

test('extensions may use the reserved bits', () => {
  const boundary = new FrameBoundary()
  boundary.take(Buffer.from('c10100', 'hex'))
  expect(boundary).toMatchObject({ isBetweenFrames: true, hasClosed: false })
})

test('a Close frame is seen with its first byte', () => {
  const boundary = new FrameBoundary()
  boundary.take(Buffer.from('88', 'hex'))
  expect(boundary).toMatchObject({ isBetweenFrames: false, hasClosed: true })
})

test('frames are found however they are cut', () => {
  const shape = tuple(nat({ max: 70_000 }), boolean())
  assert(
    property(array(shape, { maxLength: 4 }), infiniteStream(nat(40_000)), (all, cuts) => {
      const frames = all.map(([bytes, isMasked]) => frame(OPCODES.text, bytes, isMasked))
      const ends = frames.map((_, index) =>
        frames.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0),
      )
      const bytes = Buffer.concat(frames)
      const boundary = new FrameBoundary()
      const found: number[] = []
      for (let from = 0; from < bytes.length;) {
        const chunk = bytes.subarray(from, from + 1 + (cuts.next().value ?? 0))
        for (let at = 0; at < chunk.length;) {
          at = boundary.takeFrame(chunk, at)
          if (boundary.isBetweenFrames) found.push(from + at)
        }
        from += chunk.length
      }
      expect(found).toEqual(ends)
    }),
    { numRuns: 50 },
  )
})
