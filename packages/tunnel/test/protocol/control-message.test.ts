import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import {
  ControlMessageReader,
  encodeControlMessage,
  MAX_CONTROL_BYTES,
} from '../../src/protocol/control-codec.ts'
import type { ControlMessage } from '../../src/protocol/control-message.ts'
import { isTunnelError } from '../../src/errors.ts'
import { ascii, hex } from './hex.ts'

const MESSAGES: readonly ControlMessage[] = [
  { type: 'hello', software: 'adit/1.2', peer: 'a1' },
  { type: 'register', id: 1, endpoint: 'web', kind: 'http' },
  { type: 'register', id: 2, endpoint: 'pg', kind: 'tcp' },
  { type: 'registered', id: 1, urls: ['http://web.localhost:8000'] },
  { type: 'register', id: 2, endpoint: 'pg', kind: 'tcp', port: 9901 },
  { type: 'registered', id: 2, urls: [], port: 9901 },
  { type: 'register', id: 3, endpoint: 'web', kind: 'http', exclusive: true },
  { type: 'registered', id: 3, urls: [], exclusive: true },
  { type: 'register', id: 3, endpoint: 'web', kind: 'http', reuse: 'never' },
  { type: 'register', id: 3, endpoint: 'web', kind: 'http', exclusive: true, reuse: 'safe' },
  { type: 'register', id: 3, endpoint: 'web', kind: 'http', reuse: 'always' },
  { type: 'register', id: 3, endpoint: 'web', kind: 'http', strictness: 'strict' },
  { type: 'register', id: 3, endpoint: 'web', kind: 'http', strictness: 'lenient' },
  { type: 'health', endpoint: 'web', isUp: false },
  { type: 'health', endpoint: 'web', isUp: true },
  { type: 'malformed', endpoint: 'web', requestId: 'a-1', code: 'c', message: 'response rejected' },
  { type: 'registered', id: 3, urls: [], others: 2, otherHosts: 1 },
  { type: 'shared', endpoint: 'web', others: 1, otherHosts: 0 },
  { type: 'refused', id: 2, code: 'not-permitted', message: 'endpoint not permitted' },
  { type: 'refused', id: 2, code: 'draining', message: 'shutting down', retryAfterMs: 500 },
  { type: 'release', id: 3, endpoint: 'web' },
  { type: 'released', id: 3 },
  { type: 'drain', retryAfterMs: 0 },
  { type: 'drain', retryAfterMs: 0, longLivedMs: 30_000 },
  { type: 'query', id: 4, endpoint: 'pg' },
  { type: 'endpoint', id: 4, endpoint: 'pg', upstreams: 2 },
]

/** A body with its length, as on the wire. */
function framed(body: string): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes])
}

test('a message is its length in two bytes, then JSON', () => {
  const bytes = hex(
    `0019 ${ascii('{"type":"released","id":7}').slice(0, -2)} 7d`.replace('0019', '001a'),
  )
  expect(encodeControlMessage({ type: 'released', id: 7 })).toEqual(bytes)
})

describe.each(MESSAGES)('%j', (message) => {
  test('arrives equal in one piece', () => {
    expect(new ControlMessageReader().push(encodeControlMessage(message))).toEqual([message])
  })

  test('arrives equal byte by byte, and not before its last byte', () => {
    const reader = new ControlMessageReader()
    const bytes = encodeControlMessage(message)
    for (const byte of bytes.subarray(0, -1)) expect(reader.push(Buffer.of(byte))).toEqual([])
    expect(reader.push(bytes.subarray(-1))).toEqual([message])
  })

  test('arrives equal with fields of a later version', () => {
    const bytes = framed(JSON.stringify({ ...message, colour: 'red', nested: { type: 'hello' } }))
    expect(new ControlMessageReader().push(bytes)).toEqual([message])
  })

  test('is refused when a field is missing that is not optional', () => {
    const optional = new Set(
      message.type === 'drain'
        ? ['type', 'longLivedMs']
        : ['type', 'urls', 'port', 'exclusive', 'retryAfterMs'],
    )
    if (message.type === 'register') optional.add('reuse').add('strictness')
    if (message.type === 'registered') optional.add('others').add('otherHosts')
    const needed = Object.keys(message).filter((name) => !optional.has(name))
    const codes = needed.map((name) => {
      const body = JSON.stringify({ ...message, [name]: undefined })
      return codeOf(() => new ControlMessageReader().push(framed(body)))
    })
    expect(codes).toEqual(needed.map(() => 'TUNNEL_CONTROL_INVALID'))
  })
})

test('what agents are told of each other, byte by byte', () => {
  const body = '{"type":"shared","endpoint":"web","others":3,"otherHosts":2}'
  const bytes = Buffer.concat([hex('003c'), Buffer.from(body)])
  expect(body.length).toBe(0x3c)
  const message = { type: 'shared', endpoint: 'web', others: 3, otherHosts: 2 } as const
  expect(encodeControlMessage(message)).toEqual(bytes)
  for (let end = 0; end < bytes.length; end++) {
    expect(new ControlMessageReader().push(bytes.subarray(0, end))).toEqual([])
  }
})

test.each(['-1', '1.5', '"1"', 'null', '1e308', '1e400', '9007199254740992', '{}'])(
  'an agent cannot ask to close long-lived connections after %s ms',
  (ms) => {
    const body = `{"type":"drain","retryAfterMs":0,"longLivedMs":${ms}}`
    const read = (): unknown => new ControlMessageReader().push(framed(body))
    expect(codeOf(read)).toBe('TUNNEL_CONTROL_INVALID')
  },
)

test.each([-1, 1.5, '1', null, 2 ** 53])('%j is no number of other agents', (others) => {
  for (const message of [
    { type: 'shared', endpoint: 'web', others, otherHosts: 0 },
    { type: 'shared', endpoint: 'web', others: 0, otherHosts: others },
    { type: 'registered', id: 1, urls: [], others },
    { type: 'registered', id: 1, urls: [], otherHosts: others },
  ]) {
    const bytes = framed(JSON.stringify(message))
    expect(codeOf(() => new ControlMessageReader().push(bytes))).toBe('TUNNEL_CONTROL_INVALID')
  }
})

test.each([false, 1, 'true', null, {}])(
  'exclusive is true or absent: %j is absent',
  (exclusive) => {
    const register = { type: 'register', id: 1, endpoint: 'web', kind: 'http' }
    const registered = { type: 'registered', id: 1, urls: [] }
    for (const message of [register, registered]) {
      const bytes = framed(JSON.stringify({ ...message, exclusive }))
      expect(new ControlMessageReader().push(bytes)).toEqual([message])
    }
  },
)

test('the reuse of streams, byte by byte', () => {
  const body = '{"type":"register","id":1,"endpoint":"web","kind":"http","reuse":"never"}'
  const bytes = Buffer.concat([hex('0049'), Buffer.from(body)])
  expect(body.length).toBe(0x49)
  const message = {
    type: 'register',
    id: 1,
    endpoint: 'web',
    kind: 'http',
    reuse: 'never',
  } as const
  expect(encodeControlMessage(message)).toEqual(bytes)
  for (let end = 0; end < bytes.length; end++) {
    expect(new ControlMessageReader().push(bytes.subarray(0, end))).toEqual([])
  }
})

test.each(['', 'Never', 'sometimes', 'toString', true, 0, null, {}, ['never']])(
  'reuse is never, safe, always or absent: %j is absent',
  (reuse) => {
    const register = { type: 'register', id: 1, endpoint: 'web', kind: 'http' }
    const bytes = framed(JSON.stringify({ ...register, reuse }))
    expect(new ControlMessageReader().push(bytes)).toEqual([register])
  },
)

test.each(['', 'Strict', 'loose', 'toString', true, 0, null, {}, ['strict']])(
  'strictness is lenient, strict or absent: %j is absent',
  (strictness) => {
    const register = { type: 'register', id: 1, endpoint: 'web', kind: 'http' }
    const bytes = framed(JSON.stringify({ ...register, strictness }))
    expect(new ControlMessageReader().push(bytes)).toEqual([register])
  },
)

test('all messages arrive in order from one chunk, cut anywhere', () => {
  const bytes = Buffer.concat(MESSAGES.map(encodeControlMessage))
  for (let at = 0; at <= bytes.length; at++) {
    const reader = new ControlMessageReader()
    const read = [...reader.push(bytes.subarray(0, at)), ...reader.push(bytes.subarray(at))]
    expect(read).toEqual(MESSAGES)
  }
})

test('messages of unknown type are passed over', () => {
  const reader = new ControlMessageReader()
  const unknown = framed('{"type":"reload","id":"not even a number"}')
  const known = encodeControlMessage({ type: 'released', id: 1 })
  expect(reader.push(Buffer.concat([unknown, known, unknown]))).toEqual([
    { type: 'released', id: 1 },
  ])
  expect(reader.push(framed('{"type":"__proto__"}'))).toEqual([])
  expect(reader.push(framed('{}'))).toEqual([])
})

test('a kind of a later version is read, for the server to refuse', () => {
  const body = '{"type":"register","id":1,"endpoint":"dns","kind":"udp"}'
  expect(new ControlMessageReader().push(framed(body))).toEqual([
    { type: 'register', id: 1, endpoint: 'dns', kind: 'udp' },
  ])
})

test('urls that are no strings are left out', () => {
  const body = '{"type":"registered","id":1,"urls":["http://a",1,null]}'
  expect(new ControlMessageReader().push(framed(body))).toEqual([
    { type: 'registered', id: 1, urls: ['http://a'] },
  ])
})

test.each(['http://a\u001b]0;x\u0007', 'http://a\u009b31m', 'http://a\n', 'h'.repeat(1025)])(
  'a url that is no text for a terminal is left out: %j',
  (url) => {
    const body = JSON.stringify({ type: 'registered', id: 1, urls: [url, 'http://b'] })
    expect(new ControlMessageReader().push(framed(body))).toEqual([
      { type: 'registered', id: 1, urls: ['http://b'] },
    ])
  },
)

test('of many urls the first 16 are kept', () => {
  const urls = Array.from({ length: 17 }, (_, n) => `http://${n}`)
  const [read] = new ControlMessageReader().push(
    framed(JSON.stringify({ type: 'registered', id: 1, urls })),
  )
  expect(read).toEqual({ type: 'registered', id: 1, urls: urls.slice(0, 16) })
})

test.each(['\u0000', '\u001b', '\u007f', '\u0085', '\u009b'])(
  'a text with the control character %j is refused',
  (character) => {
    for (const message of [
      { type: 'ended', reason: `x${character}` },
      { type: 'register', id: 1, endpoint: `x${character}`, kind: 'http' },
    ]) {
      const bytes = framed(JSON.stringify(message))
      expect(codeOf(() => new ControlMessageReader().push(bytes))).toBe('TUNNEL_CONTROL_INVALID')
    }
  },
)

const REFUSED: readonly (readonly [string, Buffer])[] = [
  ['no bytes', framed('')],
  ['what is not JSON', framed('{"type":"released","id":1')],
  ['an array', framed('[]')],
  ['a string', framed('"hello"')],
  ['null', framed('null')],
  ['an id that is a string', framed('{"type":"released","id":"1"}')],
  ['a negative id', framed('{"type":"released","id":-1}')],
  ['a fractional id', framed('{"type":"released","id":1.5}')],
  ['an id beyond 2^53', framed('{"type":"released","id":9007199254740993}')],
  ['a line feed in an endpoint', framed('{"type":"query","id":1,"endpoint":"a\\n"}')],
  [
    'an endpoint of 1025 characters',
    framed(`{"type":"query","id":1,"endpoint":"${'e'.repeat(1025)}"}`),
  ],
  ['a port above 65535', framed('{"type":"registered","id":1,"port":65536}')],
  ['a port that is text', framed('{"type":"registered","id":1,"port":"any"}')],
  ['a drain without its delay', framed('{"type":"drain"}')],
]

test.each(REFUSED)('%s is refused with TUNNEL_CONTROL_INVALID', (_, bytes) => {
  expect(codeOf(() => new ControlMessageReader().push(bytes))).toBe('TUNNEL_CONTROL_INVALID')
})

test('a body may be as long as the limit; a longer one is refused at its length', () => {
  const empty = JSON.stringify({ type: 'released', id: 1, pad: '' })
  const pad = 'p'.repeat(MAX_CONTROL_BYTES - empty.length)
  const longest = framed(JSON.stringify({ type: 'released', id: 1, pad }))
  expect(longest.length).toBe(2 + MAX_CONTROL_BYTES)
  expect(new ControlMessageReader().push(longest)).toEqual([{ type: 'released', id: 1 }])
  const announced = hex('4001')
  expect(codeOf(() => new ControlMessageReader().push(announced))).toBe('TUNNEL_CONTROL_INVALID')
})

test('a message that would be too long is not encoded', () => {
  const urls = [`http://${'u'.repeat(MAX_CONTROL_BYTES)}`]
  expect(codeOf(() => encodeControlMessage({ type: 'registered', id: 1, urls }))).toBe(
    'TUNNEL_CONTROL_INVALID',
  )
})

test('any bytes are messages, too few, or refused with a coded error', () => {
  const bodies = fc.oneof(
    fc.json(),
    fc
      .record({ type: fc.constantFrom(...MESSAGES.map(({ type }) => type)), id: fc.anything() })
      .map((value) => JSON.stringify(value)),
    fc.string(),
  )
  fc.assert(
    fc.property(fc.array(bodies, { maxLength: 4 }), (texts) => {
      const bytes = Buffer.concat(texts.map(framed))
      const code = codeOf(() => new ControlMessageReader().push(bytes))
      expect([undefined, 'TUNNEL_CONTROL_INVALID']).toContain(code)
    }),
    { numRuns: 500 },
  )
})

function codeOf(act: () => unknown): string | undefined {
  try {
    act()
  } catch (error) {
    return isTunnelError(error) ? error.code : String(error)
  }
  return undefined
}
