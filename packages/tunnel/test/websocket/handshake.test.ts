import { expect, test } from 'vitest'

import { speaksAdit } from '../../src/protocol/protocol-version.ts'
import { formatAnswer, jsonAnswer, textAnswer } from '../../src/protocol/http-answer.ts'
import { checkHandshake, switchingProtocols } from '../../src/websocket/handshake.ts'

/** The request of RFC 6455 section 1.3. */
const GOOD = {
  host: 'server.example:8001',
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-version': '13',
}

test('the key of the RFC gets the answer of the RFC', () => {
  expect(checkHandshake('GET', GOOD)).toEqual({ ok: true, accept: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=' })
})

test.each([
  ['tokens in other letter case', { connection: 'keep-alive, UPGRADE', upgrade: 'WebSocket' }],
  ['an Origin of the same host', { origin: 'https://server.example:8001' }],
  ['an Origin of the same host in capitals', { origin: 'http://SERVER.example:8001' }],
  ['an extension and a subprotocol on offer', { 'sec-websocket-extensions': 'permessage-deflate' }],
])('%s is accepted', (_, headers) => {
  expect(checkHandshake('GET', { ...GOOD, ...headers }).ok).toBe(true)
})

test.each([
  ['another method', 'POST', {}],
  ['no Connection', 'GET', { connection: undefined }],
  ['a Connection without upgrade', 'GET', { connection: 'keep-alive' }],
  ['no Upgrade', 'GET', { upgrade: undefined }],
  ['another protocol', 'GET', { upgrade: 'h2c' }],
  ['version 8', 'GET', { 'sec-websocket-version': '8' }],
  ['no version', 'GET', { 'sec-websocket-version': undefined }],
  ['no key', 'GET', { 'sec-websocket-key': undefined }],
  ['a key of 15 bytes', 'GET', { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25j' }],
  ['a key that is not base64', 'GET', { 'sec-websocket-key': '!' }],
])('%s is 400 with the version that is spoken', (_, method, headers) => {
  const check = checkHandshake(method, { ...GOOD, ...(headers as Record<string, string>) })
  expect(check).toEqual({
    ok: false,
    answer: textAnswer(400, 'Bad Request', { 'sec-websocket-version': '13' }),
  })
})

test.each(['http://evil.example', 'http://server.example', 'null', 'not a url'])(
  'the Origin %s of another host is 403',
  (origin) => {
    const check = checkHandshake('GET', { ...GOOD, origin })
    expect(check).toEqual({ ok: false, answer: textAnswer(403, 'Forbidden') })
  },
)

test('the 101 has nothing but what the handshake needs, and our header where it was agreed', () => {
  const bare =
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    'Sec-WebSocket-Accept: x\r\n'
  expect(switchingProtocols('x', false)).toBe(`${bare}\r\n`)
  expect(switchingProtocols('x', true)).toBe(`${bare}adit-protocol: 1\r\n\r\n`)
})

test('a refusal is HTTP text with the bytes counted, and closes', () => {
  expect(formatAnswer(jsonAnswer(401, 'unknown ténant', { 'adit-protocol': '1' }))).toBe(
    'HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json; charset=utf-8\r\n' +
      'x-content-type-options: nosniff\r\nadit-protocol: 1\r\ncontent-length: 28\r\n' +
      'connection: close\r\n\r\n{"error":"unknown ténant"}\n',
  )
  expect(formatAnswer(textAnswer(418, 'no'))).toMatch(/^HTTP\/1\.1 418 Error\r\n.*\r\n\r\nno\n$/s)
})

test.each([
  ['1', true],
  ['2, 1', true],
  [' 1 ,3', true],
  ['2', false],
  ['11', false],
  ['', false],
  [undefined, false],
])('the offer %j speaks our protocol: %s', (offer, speaks) => {
  expect(speaksAdit(offer === undefined ? {} : { 'adit-protocol': offer })).toBe(speaks)
})
