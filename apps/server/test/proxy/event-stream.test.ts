import { expect, test } from 'vitest'

import { EventStream, isEventStream } from '../../src/proxy/event-stream.ts'

test.for([
  ['text/event-stream', true],
  ['Text/Event-Stream; charset=utf-8', true],
  ['text/event-streams', false],
  ['text/plain', false],
  [undefined, false],
] as const)('%s: %s', ([type, expected]) => {
  expect(isEventStream(type)).toBe(expected)
})

test.for([
  ['data: 1\n\n', false, true],
  ['data: 1\r\r', false, true],
  ['data: 1\r\n\r\n', false, true],
  ['data: 1\n', false, false],
  ['data: 1\r\n', false, false],
  ['data: 1', false, false],
  ['\n', false, false],
  ['', false, false],
  ['9\r\ndata: 1\n\n\r\n', true, true],
  ['b\r\ndata: 1\r\n\r\n\r\n', true, true],
  ['8\r\ndata: 1\n\r\n', true, false],
  ['9\r\ndata: 1\r\n\r\n', true, false],
] as const)('%j, chunked %s: ends with an event: %s', ([bytes, isChunked, expected]) => {
  const whole = new EventStream(isChunked)
  whole.take(Buffer.from(bytes))
  expect(whole.isBetweenEvents).toBe(expected)
  const cut = new EventStream(isChunked)
  for (const byte of Buffer.from(bytes)) cut.take(Buffer.of(byte))
  expect(cut.isBetweenEvents).toBe(expected)
})
