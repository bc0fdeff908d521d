import { expect, test } from 'vitest'
import { isWebSocketPipeError, WebSocketPipeError } from '../../src/websocket/errors.ts'

test('the predicate knows its class by name and code, also from another copy', () => {
  const error = new WebSocketPipeError('WEBSOCKET_TRUNCATED', 'cut')
  const copy = Object.assign(new Error('cut'), {
    name: 'WebSocketPipeError',
    code: 'WEBSOCKET_TRUNCATED',
  })
  for (const one of [error, copy]) {
    expect(isWebSocketPipeError(one)).toBe(true)
    expect(isWebSocketPipeError(one, 'WEBSOCKET_TRUNCATED')).toBe(true)
    expect(isWebSocketPipeError(one, 'WEBSOCKET_CLOSED')).toBe(false)
  }
})

test('the predicate refuses everything else', () => {
  const stranger = Object.assign(new Error('no'), { name: 'WebSocketPipeError', code: 'toString' })
  const nameless = Object.assign(new Error('no'), { code: 'WEBSOCKET_CLOSED' })
  for (const one of [undefined, null, 'x', {}, new Error('x'), stranger, nameless]) {
    expect(isWebSocketPipeError(one)).toBe(false)
    expect(isWebSocketPipeError(one, 'WEBSOCKET_CLOSED')).toBe(false)
  }
})

test('an error knows its close code and whether a new connection may help', () => {
  const error = new WebSocketPipeError('WEBSOCKET_TEXT_REFUSED', 'text', { cause: 'why' })
  expect(error).toMatchObject({ closeCode: 1003, retryable: true, cause: 'why' })
  expect(new WebSocketPipeError('WEBSOCKET_PEER_SILENT', 'silent').closeCode).toBeUndefined()
})
