import { createBodyReader, ResponseHeadReader } from '@proj/http1'
import { expect, it } from 'vitest'

import { ResponseWriter, type ResponseTarget } from '../../src/proxy/response-writer.ts'

/** A visitor that keeps what it is given, and has taken it or not. */
class Taker implements ResponseTarget {
  readonly writes: { haveLeft: boolean }
  readonly taken: Buffer[] = []

  constructor(haveLeft: boolean) {
    this.writes = { haveLeft }
  }

  write(bytes: Buffer): boolean {
    this.taken.push(bytes)
    return true
  }
}

/** Writes one answer with that body; returns where in memory it was joined. */
function answer(target: Taker, body: string): ArrayBufferLike | undefined {
  const text = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const read = new ResponseHeadReader().push(Buffer.from(text), { method: 'GET' })
  if (read === undefined) throw new Error('the head is whole')
  const writer = new ResponseWriter(target, { versionMinor: 1 })
  writer.writeBody(read.head, createBodyReader(read.head.framing, 'response'), read.rest, true)
  return target.taken.at(-1)?.buffer
}

it('joins answers in the same memory as long as each has left', () => {
  const target = new Taker(true)
  const places = ['one', 'two', 'three'].map((body) => answer(target, body))
  expect(new Set(places).size).toBe(1)
  expect(target.taken.at(-1)?.toString()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree')
})

it('leaves an answer alone that has not left', () => {
  const slow = new Taker(false)
  answer(slow, 'kept')
  for (let n = 0; n < 10; n++) answer(new Taker(true), `overwritten by ${n}?`)
  answer(slow, 'kept too')
  for (let n = 0; n < 10; n++) answer(new Taker(true), `overwritten by ${n}?`)
  expect(slow.taken.map((bytes) => bytes.toString().split('\r\n\r\n')[1])).toEqual([
    'kept',
    'kept too',
  ])
})

it('joins what does not fit in memory of its own, and the next answer as ever', () => {
  const target = new Taker(true)
  const before = answer(target, 'small')
  const long = `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(9000)}\r\nContent-Length: 2\r\n\r\nok`
  const read = new ResponseHeadReader().push(Buffer.from(long), { method: 'GET' })
  if (read === undefined) throw new Error('the head is whole')
  const writer = new ResponseWriter(target, { versionMinor: 1 })
  writer.writeBody(read.head, createBodyReader(read.head.framing, 'response'), read.rest, true)
  expect(target.taken.at(-1)?.toString()).toBe(long)
  expect(answer(target, 'small again')).toBe(before)
})

it.each([
  ['', ['']],
  ['hello', ['5\r\nhello\r\n']],
  ['x'.repeat(4096), [`1000\r\n${'x'.repeat(4096)}\r\n`]],
  ['x'.repeat(5000), ['1388\r\n', 'x'.repeat(5000), '\r\n']],
])('%#: sends a body that ends with the connection in chunks', (body, pieces) => {
  const text = 'HTTP/1.1 200 OK\r\nA: b\r\n\r\n'
  const read = new ResponseHeadReader().push(Buffer.from(text + body), { method: 'GET' })
  if (read === undefined) throw new Error('the head is whole')
  const target = new Taker(false)
  const writer = new ResponseWriter(target, { versionMinor: 1 })
  const reader = createBodyReader(read.head.framing, 'response')
  writer.writeBody(read.head, reader, read.rest, true)
  if (body !== '') writer.writeBody(read.head, reader, Buffer.from('more'), true)
  writer.endBody(read.head)
  const head = 'HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n'
  const [first = '', ...others] = pieces
  const more = body === '' ? [] : ['4\r\nmore\r\n']
  const expected = [head + first, ...others, ...more, '0\r\n\r\n']
  expect(target.taken.map(String)).toEqual(expected)
})

it('sends no chunks to an HTTP/1.0 visitor', () => {
  const text = 'HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody'
  const read = new ResponseHeadReader().push(Buffer.from(text), { method: 'GET' })
  if (read === undefined) throw new Error('the head is whole')
  const target = new Taker(false)
  const writer = new ResponseWriter(target, { versionMinor: 0 })
  writer.writeBody(read.head, createBodyReader(read.head.framing, 'response'), read.rest, false)
  writer.endBody(read.head)
  expect(target.taken.map(String)).toEqual([
    'HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nbody',
  ])
})
