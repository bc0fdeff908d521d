import { describe, expect, it } from 'vitest'
import { createBodyReader } from '../src/body-reader.ts'
import { bytesOf, readBody, singleBytes } from './feeding.ts'

describe('createBodyReader', () => {
  it('is done at once when there is no body', () => {
    for (const framing of [{ kind: 'none' }, { kind: 'length', bytes: 0 }] as const) {
      const reader = createBodyReader(framing)
      expect(reader.done).toBe(true)
      expect(reader.scan(bytesOf('GET'), 1)).toBe(1)
    }
  })

  it('ends a body of a known length at that length', () => {
    const framing = { kind: 'length', bytes: 5 } as const
    const bytes = bytesOf('helloGET')
    expect(readBody([bytes], framing)).toEqual({ value: 'hello', taken: 5 })
    expect(readBody(singleBytes(bytes), framing)).toEqual({ value: 'hello', taken: 5 })
    expect(readBody([bytes.subarray(0, 4)], framing)).toBeUndefined()
    const reader = createBodyReader(framing)
    expect(reader.scan(bytes, 6)).toBe(8)
    expect(reader.scan(bytes, 0)).toBe(3)
    expect(reader.done).toBe(true)
  })

  it('owes the rest of a length, of a chunk and of the end, and nothing between two chunks', () => {
    const reader = createBodyReader({ kind: 'length', bytes: 2 })
    const owed = [reader.isOwed]
    for (const byte of singleBytes(bytesOf('ab'))) {
      reader.scan(byte, 0)
      owed.push(reader.isOwed)
    }
    expect(owed).toEqual([true, true, false])
    const chunked = createBodyReader({ kind: 'chunked' })
    let isOwed = chunked.isOwed ? '+' : '-'
    for (const byte of singleBytes(bytesOf('1;x\r\na\r\n2\r\nbc\r\n0\r\nx: y\r\n\r\n'))) {
      chunked.scan(byte, 0)
      isOwed += chunked.isOwed ? '+' : '-'
    }
    const chunks = ['+++++++-', '++++++-', '++++++++++-']
    expect(isOwed).toBe(['-', ...chunks].join(''))
  })

  it('never ends a body that ends with its connection', () => {
    const reader = createBodyReader({ kind: 'until-close' }, 'response')
    const pieces: Buffer[] = []
    expect(reader.scan(bytesOf('0\r\n\r\n'), 0, (piece) => pieces.push(piece))).toBe(5)
    expect(reader.scan(Buffer.alloc(0), 0, (piece) => pieces.push(piece))).toBe(0)
    expect(reader.done).toBe(false)
    expect(pieces.map(String)).toEqual(['0\r\n\r\n'])
  })

  it('counts a length above 4 GiB exactly', () => {
    const reader = createBodyReader({ kind: 'length', bytes: 2 ** 32 + 1 })
    const block = Buffer.alloc(2 ** 26)
    for (let scanned = 0; scanned < 64; scanned++) expect(reader.scan(block, 0)).toBe(block.length)
    expect(reader.done).toBe(false)
    expect(reader.scan(block, 0)).toBe(1)
    expect(reader.done).toBe(true)
  })

  it('rejects a limit out of range', () => {
    expect(() => createBodyReader({ kind: 'chunked' }, 'request', { maxTrailerBytes: 1 })).toThrow(
      new RangeError('maxTrailerBytes must be an integer from 2 to 16777216, got 1'),
    )
  })
})
