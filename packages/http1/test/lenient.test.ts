// Answers that break the grammar: what is repaired is forwarded as a valid message, what has two readings is
// rejected, and valid answers are not touched.
import { REJECTED_ANSWERS, REPAIRED_ANSWERS } from '@proj/testkit/sloppy-answers'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createBodyReader } from '../src/body-reader.ts'
import { ResponseHeadReader } from '../src/response-head.ts'
import { bodyOf, forward, type Forwarded } from './forwarding.ts'
import { bytesOf, readBody, readResponse, singleBytes } from './feeding.ts'
import { REJECTED_BODIES, REJECTED_RESPONSES } from './rejected.ts'

/** The result of a response that is not rejected. */
function repaired(result: ReturnType<typeof forward>): Forwarded {
  if (typeof result !== 'object') throw new Error(`rejected: ${result}`)
  return result
}

/** Reads strictly what was forwarded. */
function strictly(answer: Forwarded, method: string): unknown {
  const again = forward([bytesOf(answer.head + bodyOf(answer))], 'strict', { method })
  if (typeof again !== 'object') return again
  return { head: again.head, payload: again.payload, isDone: answer.isDone ? again.isDone : false }
}

/** Every division into two chunks, and that into bytes. */
function divisions(bytes: Buffer): Buffer[][] {
  const inTwo = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)])
  return [...inTwo.slice(1), singleBytes(bytes)]
}

/** All starts of the bytes. */
function starts(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, end) => bytes.subarray(0, end))
}

describe.each(REPAIRED_ANSWERS)('$name', ({ bytes: text, result, method }) => {
  const bytes = bytesOf(text)
  const request = { method }

  it('is repaired, however it is divided', () => {
    const whole = forward([bytes], 'lenient', request)
    const { head, body: payload, isKept } = result
    expect(whole).toMatchObject({ head, payload, isKept })
    for (const parts of divisions(bytes)) {
      expect(forward(parts, 'lenient', request)).toEqual(whole)
    }
  })

  it('is not taken for complete where it is cut', () => {
    const whole = repaired(forward([bytes], 'lenient', request))
    const cut = starts(bytes).map((start) => forward([start], 'lenient', request))
    expect(cut.filter((one) => typeof one === 'string')).toEqual([])
    const begun = cut.filter((one) => typeof one === 'object')
    expect(begun.filter((one) => one.isDone && one.taken < whole.taken)).toEqual([])
    expect(begun.every((one) => whole.payload.startsWith(one.payload))).toBe(true)
    expect(begun.every((one) => whole.body.startsWith(one.body))).toBe(true)
  })

  it('is forwarded as a valid response', () => {
    const whole = repaired(forward([bytes], 'lenient', request))
    expect(strictly(whole, method)).toMatchObject({ head: whole.head, payload: whole.payload })
  })

  it('is rejected when reading is strict, unless it is valid', () => {
    expect(typeof forward([bytes], 'strict', request) === 'object').toBe(result.isKept)
  })
})

describe.each(REJECTED_ANSWERS)('$name', ({ bytes: text, fault }) => {
  const bytes = bytesOf(text)

  it('is rejected, however it is divided, and when reading is strict', () => {
    expect(forward([bytes])).toBe(fault)
    for (const parts of divisions(bytes)) expect(forward(parts)).toBe(fault)
    expect(typeof forward([bytes], 'strict')).toBe('string')
  })

  it('is not forwarded where it is cut', () => {
    const cut = new Set(starts(bytes).map((start) => forward([start])))
    expect([...cut].filter((one) => one !== undefined && one !== fault)).toEqual([])
  })
})

describe('rejected in strict reading', () => {
  // Repairs that are not in the table: each was looked at.
  const REPAIRED = new Set([
    'two equal CL',
    'CL as a list with a blank',
    'CL as a list',
    'empty CL',
    'blank CL',
    'TE identity',
    'chunked twice',
    'two TE headers',
    'a line folded with a space',
    'a line folded with a tab',
    'no name before the colon',
    'a space inside a name',
    'a separator in a name',
    'a byte above 127 in a name',
    'a form feed in a value',
    'ESC in a value',
    'DEL in a value',
    'a bare LF between headers',
    'two spaces',
    'lines that end in LF',
    'TE on HTTP/1.0',
    'both in 204',
  ])

  it.each(REJECTED_RESPONSES.filter(({ name }) => REPAIRED.has(name)))(
    '$name is repaired',
    ({ fault, text }) => {
      const whole = repaired(forward([bytesOf(text)]))
      expect(whole).toMatchObject({ isKept: false, repaired: fault })
      expect(strictly(whole, 'GET')).toMatchObject({ head: whole.head })
      expect(forward(singleBytes(bytesOf(text)))).toEqual(whole)
    },
  )

  it.each(REJECTED_RESPONSES.filter(({ name }) => !REPAIRED.has(name)))(
    '$name is rejected',
    ({ fault, text }) => {
      expect(forward([bytesOf(text)])).toBe(fault)
      expect(forward(singleBytes(bytesOf(text)))).toBe(fault)
    },
  )

  // The others are rejected in lenient reading too.
  const REPAIRED_BODIES = new Set([
    'a space after',
    'a space before the extension',
    'a tab after',
    'LF after the size',
    'LF after the data',
    'framing',
    'chunks',
    'routing',
    'the visitor',
    'the visitor for CGI',
    'credentials of Piko',
    'a folded trailer',
    'a trailer without a name',
    'a space before the colon',
    'LF instead of the empty line',
  ])

  const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

  it.each(REJECTED_BODIES.filter(({ name }) => REPAIRED_BODIES.has(name)))(
    'a body with $name is repaired',
    ({ fault, text }) => {
      const whole = repaired(forward([bytesOf(HEAD + text)]))
      expect(whole).toMatchObject({ isKept: false, repaired: fault })
      const again = forward([bytesOf(whole.head + whole.body)], 'strict')
      expect(again).toMatchObject({ payload: whole.payload, repaired: undefined })
      expect(forward(singleBytes(bytesOf(HEAD + text)))).toEqual(whole)
    },
  )

  it.each(REJECTED_BODIES.filter(({ name }) => !REPAIRED_BODIES.has(name)))(
    'a body with $name is rejected',
    ({ fault, text }) => {
      expect(forward([bytesOf(HEAD + text)])).toBe(fault)
      expect(forward(singleBytes(bytesOf(HEAD + text)))).toBe(fault)
    },
  )
})

describe('a connection', () => {
  it('carries no other request behind a repaired interim response', () => {
    const reader = new ResponseHeadReader()
    const request = { method: 'GET' }
    const text = 'HTTP/1.1  103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
    const first = reader.push(bytesOf(text), request, 'lenient')
    expect(first?.head).toMatchObject({ status: 103, repaired: 'LINE_INVALID' })
    const second = reader.push(first?.rest ?? Buffer.alloc(0), request, 'lenient')
    expect(second?.head).toMatchObject({ status: 200, keepAlive: false, repaired: undefined })
  })

  it.each([
    ['SSH-2.0-OpenSSH_9.2\n', 'LF_BARE'],
    ['\x15\x03\x01\0\x02\x02\x16', 'BYTE_INVALID'],
    ['220 mail ESMTP\r\n\x01', 'BYTE_INVALID'],
  ])('of another protocol is rejected at its first wrong byte: %j', (text, fault) => {
    expect(forward([bytesOf(text)])).toBe(fault)
    expect(forward(singleBytes(bytesOf(text)))).toBe(fault)
  })

  it('has a limit for a head that is repaired', () => {
    const start = 'HTTP/1.1 200 OK\nA: '
    expect(forward([bytesOf(start + 'b'.repeat(40_000))])).toBe('HEAD_TOO_LARGE')
    expect(forward([bytesOf(`HTTP/1.1 200 OK\n${'A: b\n'.repeat(600)}`)])).toBe('HEADERS_TOO_MANY')
    // The line ends that are added do not count.
    const lines = `HTTP/1.1 200 OK\n${'A:\n'.repeat(500)}\n`
    const reader = new ResponseHeadReader({ maxHeadBytes: lines.length })
    expect(reader.push(bytesOf(lines), { method: 'GET' }, 'lenient')?.head.status).toBe(200)
  })
})

const near = fc
  .tuple(
    fc.constantFrom(
      ...REJECTED_RESPONSES.map(({ text }) => text),
      ...[...REPAIRED_ANSWERS, ...REJECTED_ANSWERS].map(({ bytes }) => bytes),
      ...REJECTED_BODIES.map(
        ({ text }) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text}0\r\n\r\n`,
      ),
    ),
    fc.array(
      fc.tuple(
        fc.nat(200),
        fc.constantFrom('', '\r', '\n', '\r\n', '\0', '\x01', ' ', '\t', ':', ',', '5', '\xff'),
        fc.nat(1),
      ),
      { maxLength: 4 },
    ),
  )
  .map(([text, edits]) => {
    let edited = text.slice(0, 1_000)
    for (const [at, piece, cut] of edits) {
      edited = edited.slice(0, at) + piece + edited.slice(at + cut)
    }
    return bytesOf(edited)
  })

describe('any bytes near an answer', () => {
  it('give the same for every division, and a valid response or a fault', () => {
    let count = 0
    fc.assert(
      fc.property(near, fc.array(fc.nat(400), { maxLength: 5 }), (bytes, cuts) => {
        const whole = forward([bytes])
        const places = [0, ...cuts.map((at) => at % (bytes.length + 1)), bytes.length]
        const sorted = places.toSorted((a, b) => a - b)
        const parts = sorted.slice(1).map((end, at) => bytes.subarray(sorted[at], end))
        expect(forward(parts)).toEqual(whole)
        if (typeof whole !== 'object') return
        if (whole.repaired !== undefined) count++
        expect(whole.isKept && whole.repaired !== undefined).toBe(false)
        const { head, payload, isDone } = whole
        expect(strictly(whole, 'GET')).toMatchObject({ head, payload, isDone })
        // What is valid is not touched.
        const strict = forward([bytes], 'strict')
        const isValid = typeof strict === 'object' && strict.isDone
        expect(isValid ? whole : undefined).toEqual(isValid ? strict : undefined)
      }),
      { numRuns: 2_000 },
    )
    expect(count).toBeGreaterThan(200)
  }, 60_000)
})

describe('a valid answer', () => {
  it('is forwarded as it came, but for trailers in two parts', () => {
    const text = '3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n'
    for (let at = 0; at <= text.length; at++) {
      const reader = createBodyReader({ kind: 'chunked' }, 'response', undefined, 'lenient')
      let sent = ''
      let count = 0
      for (const part of [bytesOf(text.slice(0, at)), bytesOf(text.slice(at))]) {
        const end = reader.scan(part, 0)
        const rewritten = reader.rewritten(part)
        if (rewritten !== undefined) count++
        sent += (rewritten ?? part.subarray(0, end)).toString('latin1')
      }
      const isInTrailers = at > text.indexOf('X') && at < text.length
      expect(count).toBe(isInTrailers ? 2 : 0)
      expect(sent).toBe(text)
      expect(reader).toMatchObject({ done: true, repaired: undefined })
    }
  })

  it('is read as in strict reading', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA:  b\r\n\r\n'
    const lenient = new ResponseHeadReader().push(bytesOf(text), { method: 'GET' }, 'lenient')
    expect({ value: lenient?.head, taken: text.length }).toEqual(readResponse([bytesOf(text)]))
    expect(
      readBody([bytesOf('3\r\nabc\r\n0\r\n\r\n')], { kind: 'chunked' }, 'response'),
    ).toMatchObject({
      value: 'abc',
    })
  })
})

describe('the work for a head with faults', () => {
  const limits = { maxHeadBytes: 1_048_576 }

  it.each([
    ['blanks in a name', `X${' '.repeat(120_000)}A: b`],
    ['control bytes', `X: ${'\x01'.repeat(1_000_000)}`],
  ])('is linear: %s', (_, line) => {
    const before = process.cpuUsage()
    const bytes = bytesOf(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`)
    const read = new ResponseHeadReader(limits).push(bytes, { method: 'GET' }, 'lenient')
    expect(read?.head.repaired).toBeDefined()
    // Some 50 ms; 7 s and more where it is not linear, or where each byte makes an error.
    expect(process.cpuUsage(before).user).toBeLessThan(4_000_000)
  })

  it('is linear in single bytes', () => {
    const before = process.cpuUsage()
    const reader = new ResponseHeadReader(limits)
    const bytes = bytesOf(`HTTP/1.1 200 OK\r\nX: ${'\x01'.repeat(200_000)}\r\n\r\n`)
    const reads = singleBytes(bytes).map((byte) => reader.push(byte, { method: 'GET' }, 'lenient'))
    expect(reads.at(-1)?.head.repaired).toBe('BYTE_INVALID')
    expect(process.cpuUsage(before).user).toBeLessThan(4_000_000)
  })
})

describe('blanks behind a chunk size', () => {
  it('are left out up to 256 of them', () => {
    const many = `5${' \t'.repeat(128)}\r\nhello\r\n`
    const reader = createBodyReader({ kind: 'chunked' }, 'response', undefined, 'lenient')
    const bytes = bytesOf(`${many.repeat(2)}0\r\n\r\n`)
    reader.scan(bytes, 0)
    expect(reader.rewritten(bytes)?.toString()).toBe(`${'5\r\nhello\r\n'.repeat(2)}0\r\n\r\n`)
    const endless = createBodyReader({ kind: 'chunked' }, 'response', undefined, 'lenient')
    const send = (): number => endless.scan(bytesOf(`5${' '.repeat(257)}`), 0)
    expect(send).toThrow(expect.objectContaining({ code: 'HTTP_RESPONSE_CHUNK_SIZE_INVALID' }))
  })
})
