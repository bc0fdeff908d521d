import { expect, test } from 'vitest'

import {
  changeHeaders,
  fillVariables,
  headerLine,
  parseHeaderLine,
} from '../../../src/listeners/rules/header-lines.ts'

const VARIABLES = { visitor: '192.0.2.7', request_id: 'id-1', endpoint: 'web' }

test.each([
  ['X-Env: test', { action: 'set', name: 'X-Env', value: 'test' }],
  ['+Via: 1.1 {endpoint}', { action: 'add', name: 'Via', value: '1.1 {endpoint}' }],
  ['-Server', { action: 'remove', name: 'Server', value: '' }],
  ['X-Empty:', { action: 'set', name: 'X-Empty', value: '' }],
  ['X-Url: http://a/b:c', { action: 'set', name: 'X-Url', value: 'http://a/b:c' }],
])('reads %s, and writes it back', (text, line) => {
  expect(parseHeaderLine(text)).toEqual(line)
  expect(parseHeaderLine(headerLine.format(parseHeaderLine(text)))).toEqual(line)
})

test.each([
  ['X-Env', 'has no value'],
  ['-X-Env: a', 'has no value'],
  ['X Env: a', 'does not name a header'],
  [': a', 'does not name a header'],
  ['', 'does not name a header'],
  ['Host: a', 'cannot be changed here'],
  ['-content-length', 'cannot be changed here'],
  ['+Transfer-Encoding: chunked', 'cannot be changed here'],
  ['Connection: close', 'cannot be changed here'],
  ['adit-error: x', 'cannot be changed here'],
  ['x-piko-endpoint: x', 'cannot be changed here'],
  ['X-A: b\r\nX-C: d', 'a character that a header cannot have'],
  ['X-A: b\0', 'a character that a header cannot have'],
  ['X-A: €', 'a character that a header cannot have'],
  ['X-A: {vistor}', 'there is no variable {vistor}'],
])('rejects %j', (text, why) => {
  expect(() => parseHeaderLine(text)).toThrow(why)
})

test('sets in place of all lines of a name, adds behind them, removes all, in the order of the settings', () => {
  const lines = ['X-One: 1', '+X-Two: 2', '-x-three', 'X-Visitor: {visitor} {request_id}'].map(
    parseHeaderLine,
  )
  const sent = ['x-one', 'a', 'X-ONE', 'b', 'X-Two', 'c', 'X-Three', 'd', 'X-Four', 'e']
  expect(changeHeaders(sent, lines, VARIABLES)).toEqual([
    'X-Two',
    'c',
    'X-Four',
    'e',
    'X-One',
    '1',
    'X-Two',
    '2',
    'X-Visitor',
    '192.0.2.7 id-1',
  ])
})

test('a name with underscores is the same name, as services of CGI see it', () => {
  const lines = ['X-User: alice', '-X_Debug'].map(parseHeaderLine)
  const sent = ['X_User', 'forged', 'x-debug', '1', 'X_User2', 'a', 'x_uSER', 'forged']
  expect(changeHeaders(sent, lines, VARIABLES)).toEqual(['X_User2', 'a', 'X-User', 'alice'])
})

test('braces that name no variable stay', () => {
  expect(fillVariables('{"a":{}} {x} {endpoint}', VARIABLES)).toBe('{"a":{}} {x} web')
})
