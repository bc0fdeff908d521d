import { expect, test } from 'vitest'

import { createLogger, formatLogLine } from '../../src/index.ts'
import { Capture } from '../capture.ts'

const at = '2026-01-02T03:04:05.678Z'
const line = (fields: object) => JSON.stringify({ level: 'info', time: at, msg: 'done', ...fields })

test('shows time, level, message, then the fields', () => {
  expect(formatLogLine(line({ endpoint: 'web', count: 3 }), false)).toBe(
    '03:04:05 info  done endpoint=web count=3\n',
  )
})

test('quotes what has spaces, and leaves out what has no value', () => {
  expect(formatLogLine(line({ why: 'no reason', none: null }), false)).toBe(
    '03:04:05 info  done why="no reason"\n',
  )
})

test('shows of an error its message, code and hint', () => {
  const err = { message: 'it is taken', code: 'PORT_BUSY', hint: 'use another' }
  expect(formatLogLine(line({ err }), false)).toBe(
    '03:04:05 info  done err="it is taken" (PORT_BUSY) hint="use another"\n',
  )
})

test('shows the hint of the line in place of that of its error', () => {
  const err = { message: 'not trusted', hint: 'give it in rootCas' }
  expect(formatLogLine(line({ err, hint: 'give it in root_cas' }), false)).toBe(
    '03:04:05 info  done err="not trusted" hint="give it in root_cas"\n',
  )
})

test('shows other objects as JSON', () => {
  expect(formatLogLine(line({ origin: { kind: 'file' } }), false)).toContain(
    'origin={"kind":"file"}',
  )
})

test('escapes control bytes, so that a stranger cannot write to the terminal', () => {
  const shown = formatLogLine(line({ msg: 'a\u001b[31mb\nc', host: '\u0007\u009b' }), false)
  expect(shown).toBe('03:04:05 info  a\\u001b[31mb\\u000ac host=\\u0007\\u009b\n')
})

test('colours the level, and only when asked to', () => {
  expect(formatLogLine(line({ level: 'warn' }), true)).toContain('\u001b[33mwarn ')
  expect(formatLogLine(line({ level: 'warn' }), false)).not.toContain('\u001b')
})

test('leaves a line that is not JSON as it is', () => {
  expect(formatLogLine('not JSON', true)).toBe('not JSON')
})

test('writes JSON with level and time by name, and neither process nor host', () => {
  const stream = new Capture()
  createLogger({ level: 'info', format: 'auto', stream, colour: true }).warn({ a: 1 }, 'said')
  const { time, ...rest } = JSON.parse(stream.text)
  expect(rest).toEqual({ level: 'warn', a: 1, msg: 'said' })
  expect(new Date(time).toISOString()).toBe(time)
})

test('writes of an error message, code and hint, never a stack or a secret beside them', () => {
  const stream = new Capture()
  const err = Object.assign(new Error('refused'), { code: 'E_X', hint: 'ask', token: 'SECRET' })
  createLogger({ level: 'info', format: 'json', stream, colour: false }).error({ err }, 'failed')
  expect(JSON.parse(stream.text).err).toEqual({ message: 'refused', code: 'E_X', hint: 'ask' })
})

test('auto is text with colours on a terminal, and NO_COLOR takes only the colours', () => {
  const terminal = new Capture(80)
  createLogger({ level: 'info', format: 'auto', stream: terminal, colour: true }).info('hello')
  expect(terminal.text).toContain('\u001b[32minfo')
  const plain = new Capture(80)
  createLogger({ level: 'info', format: 'auto', stream: plain, colour: false }).info('hello')
  expect(plain.text).toMatch(/^\d\d:\d\d:\d\d info {2}hello\n$/)
})

test('text in a pipe has no colours', () => {
  const pipe = new Capture()
  createLogger({ level: 'info', format: 'text', stream: pipe, colour: true }).info('hello')
  expect(pipe.text).toMatch(/^\d\d:\d\d:\d\d info {2}hello\n$/)
})

test('writes nothing below its level, and nothing at all when silent', () => {
  const stream = new Capture()
  createLogger({ level: 'warn', format: 'json', stream, colour: false }).info('not seen')
  createLogger({ level: 'silent', format: 'json', stream, colour: false }).error('not seen')
  expect(stream.text).toBe('')
})
