import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatRequestHead, formatResponseHead } from '../src/format-head.ts'
import { rewriteRequestHead } from '../src/forward-request.ts'
import { rewriteResponseHead } from '../src/forward-response.ts'
import { getHeader } from '../src/header-list.ts'
import { bytesOf, comparable, readBody, readRequest, readResponse, singleBytes } from './feeding.ts'
import { REJECTED_BODIES, REJECTED_REQUESTS, REJECTED_RESPONSES } from './rejected.ts'

const TOKEN_CHARACTERS = "!#$%&'*+-.^_`|~09AZaz".split('')
const token = fc
  .array(fc.constantFrom(...TOKEN_CHARACTERS), { minLength: 1, maxLength: 12 })
  .map((characters) => characters.join(''))
const value = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 20 })
  .map((codes) => String.fromCharCode(...codes).replaceAll('\x7f', '\t'))
const target = fc
  .array(fc.integer({ min: 0x21, max: 0x7e }), { maxLength: 20 })
  .map((codes) => `/${String.fromCharCode(...codes)}`)
const host = fc.constantFrom('a.b', 'A:80', '[::1]:8000', '10.0.0.1')
const framing = fc.constantFrom([], ['Content-Length', '17'], ['transfer-encoding', 'chunked'])
const plainName = token.filter(
  (name) => !/^(?:host|content-length|transfer-encoding|upgrade|expect|connection)$/i.test(name),
)
const headerList = fc
  .tuple(fc.array(fc.tuple(plainName, value), { maxLength: 8 }), framing)
  .map(([pairs, framingPair]) => [...pairs.flat(), ...framingPair])

/** Messages close to the grammar: valid ones, rejected ones, and both with changed bytes. */
const nearMessage = fc
  .tuple(
    fc.constantFrom(
      ...[...REJECTED_REQUESTS, ...REJECTED_RESPONSES, ...REJECTED_BODIES].map(({ text }) => text),
      'POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\n\r\nabc',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      '5;a="b"\r\nhello\r\n0\r\nX: y\r\n\r\n',
    ),
    fc.array(
      fc.tuple(fc.nat(200), fc.constantFrom('', '\r', '\n', '\r\n', '\0', ' ', ':', 'A', '\xff')),
      {
        maxLength: 4,
      },
    ),
  )
  .map(([text, edits]) => {
    let edited = text.slice(0, 2_000)
    for (const [at, piece] of edits) edited = edited.slice(0, at) + piece + edited.slice(at + 1)
    return bytesOf(edited)
  })

const SMALL = { maxHeadBytes: 200, maxHeaders: 6, maxChunkExtensionBytes: 8, maxTrailerBytes: 60 }

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((at) => at % (bytes.length + 1)), bytes.length]
  const sorted = places.toSorted((a, b) => a - b)
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
}

describe('any bytes', () => {
  const bytes = fc.oneof(
    nearMessage,
    fc.uint8Array({ maxLength: 300 }).map((raw) => Buffer.from(raw)),
  )

  it('give the same outcome for every division into chunks, and throw only HttpError', () => {
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(400), { maxLength: 6 }), (message, cuts) => {
        for (const limits of [undefined, SMALL]) {
          for (const read of [
            (chunks: Buffer[]) => comparable(readRequest(chunks, limits)),
            (chunks: Buffer[]) => comparable(readResponse(chunks, { method: 'GET' }, limits)),
            (chunks: Buffer[]) => readBody(chunks, { kind: 'chunked' }, 'request', limits),
          ]) {
            const whole = read([message])
            expect(read(cut(message, cuts))).toEqual(whole)
            expect(read(singleBytes(message))).toEqual(whole)
          }
        }
      }),
      { numRuns: 1_000 },
    )
  }, 60_000)
})

describe('a valid request', () => {
  const request = fc.record({ method: token, target, host, headers: headerList })

  it('is read as it was written, and written as it was read', () => {
    fc.assert(
      fc.property(request, (parts) => {
        fc.pre(parts.method !== 'CONNECT')
        const headers = ['Host', parts.host, ...parts.headers]
        const text = formatRequestHead({ ...parts, headers })
        const outcome = readRequest([bytesOf(text)])
        if (outcome === undefined || !('value' in outcome)) throw new Error('not read')
        const head = outcome.value
        expect(head).toMatchObject({ method: parts.method, target: parts.target, host: parts.host })
        expect(head.headers).toEqual(headers.map((item, at) => (at % 2 ? trimmed(item) : item)))
        const again = formatRequestHead(head)
        const second = readRequest([bytesOf(again)])
        expect(second).toMatchObject({ value: head })
        expect(second && 'value' in second && formatRequestHead(second.value)).toBe(again)
      }),
    )
  })

  it('is forwarded as a valid request with the same framing and the address of its visitor', () => {
    fc.assert(
      fc.property(request, fc.array(token), fc.nat(3), (parts, named, trustedHops) => {
        fc.pre(parts.method !== 'CONNECT')
        const connection = named.length === 0 ? [] : ['Connection', named.join(',')]
        const headers = ['Host', parts.host, ...connection, ...parts.headers]
        const outcome = readRequest([bytesOf(formatRequestHead({ ...parts, headers }))])
        if (outcome === undefined || !('value' in outcome)) throw new Error('not read')
        const text = rewriteRequestHead(outcome.value, {
          clientAddress: '192.0.2.1',
          scheme: 'https',
          trustedHops,
        })
        const next = readRequest([bytesOf(text)])
        if (next === undefined || !('value' in next)) throw new Error('not read by the next hop')
        expect(next.value).toMatchObject({ framing: outcome.value.framing, host: parts.host })
        expect(next.value.keepAlive).toBe(true)
        const addresses = getHeader(next.value.headers, 'x-forwarded-for') ?? ''
        expect(addresses.endsWith('192.0.2.1')).toBe(true)
      }),
    )
  })
})

describe('a valid response', () => {
  it('is read as it was written, and forwarded with the same framing, or chunks', () => {
    const response = fc.record({
      status: fc.integer({ min: 200, max: 999 }),
      reason: value,
      headers: headerList,
    })
    fc.assert(
      fc.property(response, (parts) => {
        const outcome = readResponse([bytesOf(formatResponseHead(parts))])
        if (outcome === undefined || !('value' in outcome)) throw new Error('not read')
        const head = outcome.value
        expect(head).toMatchObject({ status: parts.status, reason: parts.reason })
        const text = rewriteResponseHead(head, { versionMinor: 1, keepAlive: true })
        const next = readResponse([bytesOf(text)])
        const isUntilClose = head.framing.kind === 'until-close'
        const sent = isUntilClose ? { kind: 'chunked' } : head.framing
        expect(next).toMatchObject({ value: { status: parts.status, framing: sent } })
      }),
    )
  })
})

describe('a chunked body', () => {
  it('gives its payload and its end for every division into chunks', () => {
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 6 })
    fc.assert(
      fc.property(chunks, fc.string(), fc.array(fc.nat(400)), (pieces, next, cuts) => {
        const payload = pieces.map((piece) => Buffer.from(piece).toString('latin1'))
        const framed = payload.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`)
        const text = `${framed.join('')}0\r\n\r\n`
        const outcome = readBody(cut(bytesOf(`${text}${next}`), cuts))
        expect(outcome).toEqual({ value: payload.join(''), taken: text.length })
      }),
    )
  })
})

function trimmed(text: string): string {
  return text.replace(/^[\t ]+/, '').replace(/[\t ]+$/, '')
}
