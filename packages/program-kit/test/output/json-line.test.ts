import { expect, test } from 'vitest'

import { createLogger, jsonLine } from '../../src/index.ts'
import { Capture } from '../capture.ts'

/** Every character that a terminal interprets or does not show: DEL, C1, zero width, direction, separators. */
const INVISIBLE = [
  ...Array.from({ length: 0x21 }, (_, at) => String.fromCodePoint(0x7f + at)),
  '\u061c',
  '\u200b',
  '\u200c',
  '\u200d',
  '\u200e',
  '\u200f',
  '\u2028',
  '\u2029',
  '\u202a',
  '\u202b',
  '\u202c',
  '\u202d',
  '\u202e',
  '\u2066',
  '\u2067',
  '\u2068',
  '\u2069',
  '\ufeff',
]

test.each(INVISIBLE)('%j is escaped, and read back', (character) => {
  const value = { [`key${character}`]: [`a${character}b`] }
  const line = jsonLine(value)
  expect(line).not.toContain(character)
  expect(JSON.parse(line)).toEqual(value)
})

test('C0 is escaped as JSON does it', () => {
  expect(jsonLine('\u001b]0;title\u0007\n')).toBe(String.raw`"\u001b]0;title\u0007\n"` + '\n')
})

test('every UTF-16 code unit is read back, on one line', () => {
  const value = Array.from({ length: 0x1_0000 }, (_, code) => String.fromCodePoint(code))
  const line = jsonLine(value)
  expect(JSON.parse(line)).toEqual(value)
  expect(line.indexOf('\n')).toBe(line.length - 1)
  expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cs}]/u)
})

test('log lines in JSON are escaped too', () => {
  const stream = new Capture()
  const logger = createLogger({ level: 'info', format: 'json', stream, colour: false })
  logger.warn({ endpoint: 'a\u202eb\u009b' }, 'said \u2066')
  expect(stream.text).toContain(String.raw`a\u202eb\u009b`)
  expect(stream.text).toContain(String.raw`said \u2066`)
  expect(JSON.parse(stream.text)).toMatchObject({ endpoint: 'a\u202eb\u009b', msg: 'said \u2066' })
})
