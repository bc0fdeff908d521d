import { expect, test } from 'vitest'
import { formatClosePayload, parseClosePayload } from '../../src/websocket/close.ts'
import { isWebSocketPipeError, type WebSocketErrorCode } from '../../src/websocket/errors.ts'
import { hex } from './peers.ts'

test.each([
  ['nothing', '', undefined, ''],
  ['normal', '03e8', 1000, ''],
  ['a reason', '03e9 676f6e65', 1001, 'gone'],
  ['service restart', '03f4', 1012, ''],
  ['the last registered code', '03f6', 1014, ''],
  ['the first registered range', '0bb8', 3000, ''],
  ['the last private code', '1387', 4999, ''],
])('parses and formats %s', (_name, text, code, reason) => {
  expect(parseClosePayload(hex(text))).toEqual({ code, reason })
  expect(formatClosePayload(code, reason)).toEqual(hex(text))
})

test('parses a reason beyond ASCII', () => {
  expect(parseClosePayload(hex('03e8 c3a9'))).toEqual({ code: 1000, reason: 'é' })
})

const REFUSED: readonly (readonly [string, string, WebSocketErrorCode])[] = [
  ['half a code', '03', 'WEBSOCKET_FRAME_INVALID'],
  ['code 0', '0000', 'WEBSOCKET_FRAME_INVALID'],
  ['code 999', '03e7', 'WEBSOCKET_FRAME_INVALID'],
  ['code 1004', '03ec', 'WEBSOCKET_FRAME_INVALID'],
  ['code 1005', '03ed', 'WEBSOCKET_FRAME_INVALID'],
  ['code 1006', '03ee', 'WEBSOCKET_FRAME_INVALID'],
  ['code 1015', '03f7', 'WEBSOCKET_FRAME_INVALID'],
  ['code 2999', '0bb7', 'WEBSOCKET_FRAME_INVALID'],
  ['code 5000', '1388', 'WEBSOCKET_FRAME_INVALID'],
  ['a cut character', '03e8 c3', 'WEBSOCKET_REASON_INVALID'],
  ['a surrogate', '03e8 eda080', 'WEBSOCKET_REASON_INVALID'],
  ['an overlong character', '03e8 c0af', 'WEBSOCKET_REASON_INVALID'],
]

test.each(REFUSED)('refuses %s', (_name, text, code) => {
  let thrown: unknown
  try {
    parseClosePayload(hex(text))
  } catch (error) {
    thrown = error
  }
  expect(isWebSocketPipeError(thrown, code)).toBe(true)
})

test('a long reason is cut to what a control frame holds', () => {
  expect(formatClosePayload(1002, 'x'.repeat(123))).toHaveLength(125)
  expect(formatClosePayload(1002, 'x'.repeat(124))).toHaveLength(125)
})
