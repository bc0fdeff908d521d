import type { Channel } from '@proj/mux'
import { expect, test } from 'vitest'

import {
  ControlReader,
  END_LONG_LIVED,
  formatGreeting,
  type Greeting,
} from '../../src/link/control-stream.ts'

const GREETING: Greeting = { protocol: 1, node: 'n1', boot: 'b1', version: '1.0.0' }

/** Reads what comes in pieces; gives what it said. */
function read(...pieces: readonly (string | Buffer)[]): unknown[] {
  const said: unknown[] = []
  let consumed = 0
  const channel = { consume: (bytes: number) => (consumed += bytes) } as unknown as Channel
  const reader = new ControlReader(
    channel,
    (greeting) => said.push(greeting),
    (why) => said.push(why),
    () => said.push('end long-lived'),
  )
  for (const piece of pieces) reader.onData(Buffer.from(piece))
  expect(consumed).toBe(pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0))
  return said
}

test('a greeting is read byte by byte, once; later lines and fields are ignored', () => {
  const bytes = formatGreeting(GREETING)
  expect(bytes.toString()).toBe('{"protocol":1,"node":"n1","boot":"b1","version":"1.0.0"}\n')
  expect(read(...[...bytes].map((byte) => Buffer.of(byte)))).toEqual([GREETING])
  expect(read(bytes, '{"later":1}\n', bytes)).toEqual([GREETING])
  expect(read(`${JSON.stringify({ ...GREETING, later: 1 })}\n`)).toEqual([GREETING])
  expect(read(bytes.subarray(0, -1))).toEqual([])
})

test('the line that ends what has no end of its own is read after the greeting', () => {
  const bytes = formatGreeting(GREETING)
  const all = Buffer.concat([bytes, END_LONG_LIVED, Buffer.from('{"endLongLived":1}\nno JSON\n')])
  expect(read(all, END_LONG_LIVED)).toEqual([GREETING, 'end long-lived', 'end long-lived'])
  expect(read(...[...all].map((byte) => Buffer.of(byte)))).toEqual([GREETING, 'end long-lived'])
  expect(read(END_LONG_LIVED, bytes)).toEqual(['its greeting is out of form'])
  expect(read(bytes, 'x'.repeat(4_097), '\n', END_LONG_LIVED)).toEqual([GREETING])
})

test.each([
  ['no JSON', 'hello\n'],
  ['no object', '1\n'],
  ['null', 'null\n'],
  ['no protocol', '{"node":"n1","boot":"b1","version":"1"}\n'],
  ['a node that is no text', '{"protocol":1,"node":1,"boot":"b1","version":"1"}\n'],
  ['no boot', '{"protocol":1,"node":"n1","version":"1"}\n'],
  ['no version', '{"protocol":1,"node":"n1","boot":"b1"}\n'],
  ['no end', 'x'.repeat(4_097)],
])('a greeting with %s is refused', (_, text) => {
  expect(read(text)).toEqual(['its greeting is out of form'])
})

test('a greeting of another version is refused by its number', () => {
  expect(read(formatGreeting({ ...GREETING, protocol: 2 }))).toEqual([
    'it speaks version 2 of links, and this node 1',
  ])
})
