import { describe, expect, it } from 'vitest'
import { ChunkedBody } from '../src/chunked-body.ts'
import { HTTP_FAULTS } from '../src/errors.ts'
import { bytesOf, readBody, singleBytes } from './feeding.ts'
import { REJECTED_BODIES } from './rejected.ts'

const CHUNKED = { kind: 'chunked' } as const

const GOOD: readonly (readonly [string, string, string])[] = [
  ['no data', '0\r\n\r\n', ''],
  ['one chunk', '5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['several chunks', '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n', 'abc'],
  [
    'both cases of digits',
    `a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n`,
    '01234567890123456789',
  ],
  ['16 digits', '0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n', 'hello'],
  ['line ends in the data', '4\r\n\r\n\r\n\r\n0\r\n\r\n', '\r\n\r\n'],
  ['an extension', '5;a\r\nhello\r\n0;b=c\r\n\r\n', 'hello'],
  ['quoted extensions', '5;a="b;\\"c";d="";e=f\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['an extension of 256 bytes', `5;${'a'.repeat(255)}\r\nhello\r\n0\r\n\r\n`, 'hello'],
  ['trailers', '0\r\nGrpc-Status: 0\r\nX-Sum:\r\n\r\n', ''],
]

describe('a chunked body', () => {
  it.each(GOOD)('with %s ends at its last byte', (_name, text, payload) => {
    const next = 'GET / HTTP/1.1\r\n'
    const expected = { value: payload, taken: text.length }
    expect(readBody([bytesOf(text + next)])).toEqual(expected)
    expect(readBody(singleBytes(bytesOf(text + next)))).toEqual(expected)
    for (let end = 0; end < text.length; end++) {
      const bytes = bytesOf(text)
      expect(readBody([bytes.subarray(0, end)])).toBeUndefined()
      expect(readBody([bytes.subarray(0, end), bytes.subarray(end)])).toEqual(expected)
    }
  })

  it.each(REJECTED_BODIES)('has $fault for $name', ({ fault, text }) => {
    const bytes = bytesOf(text)
    const { status } = HTTP_FAULTS[fault]
    expect(readBody([bytes])).toEqual({ fault, side: 'request', status })
    expect(readBody(singleBytes(bytes))).toEqual({ fault, side: 'request', status })
    const inResponse = readBody([bytes], CHUNKED, 'response')
    expect(inResponse).toEqual({ fault, side: 'response', status: 502 })
  })

  it('is scanned from an offset and returns the offset after its end', () => {
    const body = new ChunkedBody()
    const chunk = bytesOf('HEAD2\r\nok\r\n0\r\n\r\nNEXT')
    expect(body.done).toBe(false)
    expect(body.scan(chunk, 4)).toBe(chunk.length - 4)
    expect(body.done).toBe(true)
    expect(body.scan(chunk, 3)).toBe(3)
  })

  it('passes on payload without a copy', () => {
    const chunk = bytesOf('5\r\nhello\r\n0\r\n\r\n')
    const pieces: Buffer[] = []
    new ChunkedBody().scan(chunk, 0, (piece) => pieces.push(piece))
    expect(pieces.map(String)).toEqual(['hello'])
    expect(pieces[0]?.buffer).toBe(chunk.buffer)
    expect(pieces[0]?.byteOffset).toBe(chunk.byteOffset + 3)
  })

  it('accepts a chunk that is larger than 4 GiB', () => {
    const body = new ChunkedBody()
    // 0x180000000 bytes = 6 GiB
    const head = bytesOf('180000000\r\n')
    expect(body.scan(head, 0)).toBe(head.length)
    const block = Buffer.alloc(64 * 1024 * 1024)
    for (let scanned = 0; scanned < 96; scanned++) expect(body.scan(block, 0)).toBe(block.length)
    expect(body.done).toBe(false)
    body.scan(bytesOf('\r\n0\r\n\r\n'), 0)
    expect(body.done).toBe(true)
  })
})

describe('the limits of a chunked body', () => {
  it.each([
    [5, true],
    [4, true],
    [3, false],
  ])('maxChunkExtensionBytes of %i for 4 bytes', (maxChunkExtensionBytes, fits) => {
    const outcome = readBody([bytesOf('1;a=b\r\nx\r\n0\r\n\r\n')], CHUNKED, 'request', {
      maxChunkExtensionBytes,
    })
    expect(outcome).toMatchObject(fits ? { value: 'x' } : { fault: 'CHUNK_EXTENSION_TOO_LARGE' })
  })

  it.each([
    [9, true],
    [8, true],
    [7, false],
  ])('maxTrailerBytes of %i for 8 bytes', (maxTrailerBytes, fits) => {
    const outcome = readBody(singleBytes(bytesOf('0\r\nA: b\r\n\r\n')), CHUNKED, 'request', {
      maxTrailerBytes,
    })
    const rejected = { fault: 'TRAILERS_TOO_LARGE', status: 431 }
    expect(outcome).toMatchObject(fits ? { taken: 11 } : rejected)
  })

  it('maxTrailerBytes of 2 accepts a body without trailers', () => {
    const limits = { maxTrailerBytes: 2, maxChunkExtensionBytes: 0 }
    const outcome = readBody([bytesOf('1\r\nx\r\n0\r\n\r\n')], CHUNKED, 'request', limits)
    expect(outcome).toMatchObject({ value: 'x' })
  })

  it.each([
    [3, true],
    [2, true],
    [1, false],
  ])('maxHeaders of %i for 2 trailers', (maxHeaders, fits) => {
    const outcome = readBody([bytesOf('0\r\nA: b\r\nC: d\r\n\r\n')], CHUNKED, 'request', {
      maxHeaders,
    })
    expect(outcome).toMatchObject(fits ? { taken: 17 } : { fault: 'HEADERS_TOO_MANY' })
  })
})
