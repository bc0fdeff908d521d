import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FrameHandler, FrameReader } from '../../src/frame/frame-reader.ts'
import { writeHeader } from '../../src/frame/frame.ts'
import { frames, header, words } from '../wire.ts'

/** Writes down what it is called with; joins payload pieces. */
class Recording implements FrameHandler {
  readonly seen: string[] = []

  onHeader(type: number, flags: number, id: number, length: number): void {
    this.seen.push(`header ${type} ${flags} ${id} ${length}`)
  }

  onPayload(piece: Buffer): void {
    const last = this.seen.at(-1) ?? ''
    if (last.startsWith('payload ')) this.seen.pop()
    this.seen.push((last.startsWith('payload ') ? last : 'payload ') + piece.toString('latin1'))
  }

  onPayloadEnd(): void {
    this.seen.push('end')
  }
}

function read(...chunks: Buffer[]): string[] {
  const handler = new Recording()
  const reader = new FrameReader(handler)
  for (const chunk of chunks) reader.push(chunk)
  return handler.seen
}

// version, type, flags, stream id, length
const SYN = Buffer.from('00 01 0001 00000001 00040000'.replaceAll(' ', ''), 'hex')
const DATA = Buffer.from('00 00 0004 fffffffd 00000003 616263'.replaceAll(' ', ''), 'hex')
const PING = Buffer.from('00 02 0002 00000000 ffffffff'.replaceAll(' ', ''), 'hex')
const ALL = Buffer.concat([SYN, DATA, PING])
const EXPECTED = [
  'header 1 1 1 262144',
  'header 0 4 4294967293 3',
  'payload abc',
  'end',
  'header 2 2 0 4294967295',
]

describe('FrameReader', () => {
  test('reads frames in one chunk', () => {
    expect(read(ALL)).toEqual(EXPECTED)
  })

  test('reads the same frames byte by byte', () => {
    expect(read(...Array.from(ALL, (byte) => Buffer.from([byte])))).toEqual(EXPECTED)
  })

  test('reads the same frames cut in two anywhere, and nothing beyond the cut', () => {
    for (let cut = 0; cut <= ALL.length; cut++) {
      expect(read(ALL.subarray(0, cut), ALL.subarray(cut))).toEqual(EXPECTED)
      const partial = read(ALL.subarray(0, cut))
      expect(EXPECTED.join()).toContain(
        partial
          .filter((line) => line !== 'end')
          .join()
          .slice(0, 20),
      )
      expect(partial.length).toBeLessThanOrEqual(EXPECTED.length)
    }
  })

  test('delivers payload without copying it', () => {
    const pieces: Buffer[] = []
    const handler = Object.assign(new Recording(), {
      onPayload: (piece: Buffer) => pieces.push(piece),
    })
    new FrameReader(handler).push(ALL)
    expect(pieces.map(({ buffer }) => buffer)).toEqual([ALL.buffer])
  })

  test('calls onPayloadEnd after the last byte, and not for an empty payload', () => {
    expect(read(header(0, 0, 1, 2), Buffer.from('a'))).toEqual(['header 0 0 1 2', 'payload a'])
    expect(read(header(0, 0, 1, 0))).toEqual(['header 0 0 1 0'])
  })

  test('reads nothing after it is stopped, inside a frame or a callback', () => {
    const handler = new Recording()
    const reader = new FrameReader(handler)
    reader.push(ALL.subarray(0, 5))
    handler.onHeader = () => reader.stop()
    reader.push(ALL.subarray(5))
    reader.push(ALL)
    expect(handler.seen).toEqual([])
  })

  test('does not call onPayloadEnd for a payload in which it was stopped', () => {
    const handler = new Recording()
    const reader = new FrameReader(handler)
    handler.onPayload = () => reader.stop()
    reader.push(ALL)
    expect(handler.seen).toEqual(EXPECTED.slice(0, 2))
  })

  test('reads any frames the same for any cuts', () => {
    const frame = fc.oneof(
      fc
        .tuple(fc.constantFrom(1, 2, 3), fc.nat(15), fc.nat(9), fc.nat(0xffff))
        .map(([type, ...rest]) => header(type, ...rest)),
      fc.string({ maxLength: 40 }).map((text) => frames(`DATA - 3 ${text}`)),
    )
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.nat(200)), (list, cuts) => {
        const bytes = Buffer.concat(list)
        const chunks: Buffer[] = []
        let at = 0
        for (const cut of cuts) {
          chunks.push(bytes.subarray(at, at + cut))
          at = Math.min(bytes.length, at + cut)
        }
        expect(read(...chunks, bytes.subarray(at))).toEqual(read(bytes))
      }),
    )
  })
})

test('reads back the header that was written', () => {
  fc.assert(
    fc.property(fc.nat(3), fc.nat(15), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), (...fields) => {
      const target = Buffer.alloc(20, 0xee)
      writeHeader(target, 4, ...fields)
      expect(target.subarray(4, 16)).toEqual(header(...fields))
      expect([...target.subarray(0, 4), ...target.subarray(16)]).toEqual(Array(8).fill(0xee))
    }),
  )
  expect(words(SYN)).toEqual(['WND SYN 1 262144'])
})
