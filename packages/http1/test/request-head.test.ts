import { describe, expect, it } from 'vitest'
import { endpointId } from '../src/endpoint-id.ts'
import { HTTP_FAULTS } from '../src/errors.ts'
import { rewriteRequestHead } from '../src/forward-request.ts'
import { RequestHeadReader } from '../src/request-head.ts'
import { bytesOf, comparable, readRequest, singleBytes, withHeaders } from './feeding.ts'
import { REJECTED_REQUESTS } from './rejected.ts'

/** Reads a head with the given header lines after `POST / HTTP/1.<minor>` and Host. */
function headWith(lines: string, minor = 1) {
  const text = `GET / HTTP/1.${minor}\r\nHost: a.b\r\n${lines === '' ? '' : `${lines}\r\n`}\r\n`
  const outcome = readRequest([bytesOf(text)])
  if (outcome === undefined || !('value' in outcome)) throw new Error(JSON.stringify(outcome))
  return outcome.value
}

/** Returns the target of a head with that request line. */
function targetOf(line: string, host = 'a.b') {
  const outcome = readRequest([bytesOf(`${line} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)])
  return outcome !== undefined && 'value' in outcome ? outcome.value.target : outcome
}

describe('RequestHeadReader', () => {
  it('reads a head and returns the bytes after it without a copy', () => {
    const bytes = bytesOf(
      'POST /a?b HTTP/1.1\r\nHost: Web.localhost:8000\r\nX:\t y z \t\r\nX:\r\nContent-Length: 3\r\n\r\nabc',
    )
    const result = new RequestHeadReader().push(bytes)
    expect(withHeaders(result?.head)).toEqual({
      method: 'POST',
      target: '/a?b',
      versionMinor: 1,
      headers: ['Host', 'Web.localhost:8000', 'X', 'y z', 'X', '', 'Content-Length', '3'],
      host: 'Web.localhost:8000',
      framing: { kind: 'length', bytes: 3 },
      keepAlive: true,
      unframed: false,
      upgrade: undefined,
      expectContinue: false,
    })
    expect(result?.rest.toString()).toBe('abc')
    expect(result?.rest.buffer).toBe(bytes.buffer)
  })

  it('reads pipelined heads one after another', () => {
    const reader = new RequestHeadReader()
    const first = reader.push(bytesOf('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHo'))
    expect(first?.head.target).toBe('/1')
    expect(reader.push(first?.rest ?? Buffer.alloc(0))).toBeUndefined()
    expect(reader.heldBytes).toBe(19)
    expect(reader.push(bytesOf('st: a\r\n\r\n'))?.head.target).toBe('/2')
    expect(reader.heldBytes).toBe(0)
  })

  it('skips one empty line before each request line', () => {
    const reader = new RequestHeadReader()
    for (const target of ['/1', '/2']) {
      const result = reader.push(bytesOf(`\r\nGET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`))
      expect(result?.head).toMatchObject({ method: 'GET', target, headers: ['Host', 'a'] })
    }
  })

  it('skips two empty lines, and counts them as bytes of the head', () => {
    const reader = new RequestHeadReader()
    const result = reader.push(bytesOf('\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET'))
    expect(result?.head).toMatchObject({ method: 'GET', target: '/1', headers: ['Host', 'a'] })
    expect(result?.rest.toString()).toBe('GET')
  })

  it.each([
    ['/x', '/x', ''],
    ['http://A.b:80/x', '/x', 'A.b:80'],
    ['https://[::1]', '/', '[::1]'],
  ])('reads HTTP/1.0 without Host: %s', (target, path, host) => {
    const text = `GET ${target} HTTP/1.0\r\nX: http://c.d/\r\n\r\n`
    const head = new RequestHeadReader().push(bytesOf(text))?.head
    expect(head).toMatchObject({ target: path, host, keepAlive: false })
    expect(head && endpointId(head)).toBe(host === 'A.b:80' ? 'a' : undefined)
    const sent = head && rewriteRequestHead(head, { clientAddress: '::1', scheme: 'http' })
    expect(sent).toContain(`\r\nHost: ${host}\r\n`)
    expect(sent?.includes('x-forwarded-host')).toBe(host !== '')
    expect(readRequest([bytesOf(sent ?? '')])).toMatchObject(
      host === '' ? { fault: 'HOST_INVALID' } : { value: { host, target: path } },
    )
  })

  it.each([
    ['web', 'web'],
    ['a@b', ''],
  ])('sends the endpoint %j of HTTP/1.0 without Host on as Host', (endpoint, host) => {
    const text = `GET / HTTP/1.0\r\nx-piko-endpoint: ${endpoint}\r\n\r\n`
    const head = new RequestHeadReader().push(bytesOf(text))?.head
    const sent = head && rewriteRequestHead(head, { clientAddress: '::1', scheme: 'http' })
    expect(sent).toContain(`\r\nHost: ${host}\r\n`)
  })

  it.each(['http:///x', 'http://u@a.b/', 'a.b:80', '*'])(
    'rejects HTTP/1.0 without Host for the target %s',
    (target) => {
      const outcome = readRequest([bytesOf(`GET ${target} HTTP/1.0\r\n\r\n`)])
      expect(outcome).toMatchObject({ status: 400 })
    },
  )

  it('is idle again after a reset', () => {
    const reader = new RequestHeadReader()
    reader.push(bytesOf('\r\nGET /1 HTTP/1.1\r\nHost: a\r'))
    reader.reset()
    expect(reader.heldBytes).toBe(0)
    expect(reader.push(bytesOf('\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n'))?.head.target).toBe('/2')
  })

  it('ignores an empty chunk', () => {
    const reader = new RequestHeadReader()
    expect(reader.push(Buffer.alloc(0))).toBeUndefined()
    expect(reader.heldBytes).toBe(0)
  })

  it('reads a long head from single bytes', () => {
    const cookie = Array.from({ length: 3_000 }, (_, at) => String(at)).join('; ')
    const bytes = bytesOf(`GET / HTTP/1.1\r\nHost: a.b\r\nCookie: ${cookie}\r\n\r\n`)
    const whole = readRequest([bytes])
    expect(whole).toMatchObject({ value: { headers: ['Host', 'a.b', 'Cookie', cookie] } })
    for (const chunks of [singleBytes(bytes), [bytes.subarray(0, 9_999), bytes.subarray(9_999)]]) {
      expect(comparable(readRequest(chunks))).toEqual(comparable(whole))
    }
  })

  it('does not change a head when the memory of a chunk is used again', () => {
    const reader = new RequestHeadReader()
    const bytes = bytesOf('GET /1 HTTP/1.1\r\nHost: a.b\r\n')
    reader.push(bytes)
    bytes.fill(0)
    expect(reader.push(bytesOf('\r\n'))?.head.host).toBe('a.b')
  })
})

describe('a rejected request', () => {
  it.each(REJECTED_REQUESTS)('has $fault for $name', ({ fault, text }) => {
    const expected = { fault, side: 'request', status: HTTP_FAULTS[fault].status }
    const bytes = bytesOf(text)
    expect(readRequest([bytes])).toEqual(expected)
    expect(readRequest(singleBytes(bytes))).toEqual(expected)
    expect(readRequest([bytes.subarray(0, 9), bytes.subarray(9)])).toEqual(expected)
  })

  it('is rejected at the first wrong byte, not at the end of the head', () => {
    expect(readRequest([bytesOf('GET / HTTP/1.1\n')])).toMatchObject({ fault: 'LF_BARE' })
    expect(readRequest([bytesOf('GET /\0')])).toMatchObject({ fault: 'BYTE_INVALID' })
    expect(readRequest([bytesOf('GET /\rx')])).toMatchObject({ fault: 'CR_BARE' })
  })
})

describe('a truncated request', () => {
  it('gives undefined, at every byte it is cut', () => {
    const bytes = bytesOf('\r\nPUT /x HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\n\r\n')
    for (let end = 0; end < bytes.length; end++) {
      expect(readRequest([bytes.subarray(0, end)])).toBeUndefined()
      expect(readRequest([bytes.subarray(0, end), bytes.subarray(end)])).toMatchObject({
        taken: bytes.length,
      })
    }
  })
})

describe('maxHeadBytes', () => {
  const text = `GET / HTTP/1.1\r\nHost: a.b\r\nX: ${'a'.repeat(60)}\r\n\r\n`

  it.each([
    [text.length + 1, true],
    [text.length, true],
    [text.length - 1, false],
  ])('of %i for a head of 94 bytes', (maxHeadBytes, fits) => {
    expect(text.length).toBe(94)
    for (const chunks of [[bytesOf(text)], singleBytes(bytesOf(text))]) {
      expect(readRequest(chunks, { maxHeadBytes })).toMatchObject(
        fits ? { taken: 94 } : { fault: 'HEAD_TOO_LARGE', status: 431 },
      )
    }
  })

  it('does not count the bytes after the head', () => {
    const bytes = bytesOf(`${text}${'b'.repeat(1_000)}`)
    expect(readRequest([bytes], { maxHeadBytes: 94 })).toMatchObject({ taken: 94 })
  })
})

describe('maxHeaders', () => {
  it.each([
    [4, true],
    [3, true],
    [2, false],
  ])('of %i for 3 headers', (maxHeaders, fits) => {
    const bytes = bytesOf('GET / HTTP/1.1\r\nHost: a.b\r\nA: b\r\nC: d\r\n\r\n')
    expect(readRequest([bytes], { maxHeaders })).toMatchObject(
      fits ? { taken: bytes.length } : { fault: 'HEADERS_TOO_MANY', status: 431 },
    )
  })
})

describe('the target', () => {
  it.each([
    '/',
    '//',
    '//evil.example/x',
    '/../../etc/passwd',
    '/a/./b//c',
    '/%2e%2e/%00',
    '/a\\b',
    '/#x',
    '/?a=b|c{d}"<>^`',
    '/*',
    "/!$&'()*+,;=:@~",
    '/http://c.d/',
  ])('%s is unchanged', (target) => {
    expect(targetOf(`GET ${target}`)).toBe(target)
  })

  it.each([
    ['GET http://a.b/x?y', 'a.b', '/x?y'],
    ['GET HTTP://A.B/x', 'a.b', '/x'],
    ['GET http://a.b:80/x', 'a.b', '/x'],
    ['GET http://a.b./x', 'a.b', '/x'],
    ['GET https://a.b/x', 'A.B:443', '/x'],
    ['GET http://a.b:8000//x', 'a.b:8000', '//x'],
    ['GET http://a.b?x', 'a.b', '/?x'],
    ['GET http://a.b', 'a.b', '/'],
    ['GET http://a.b:', 'a.b', '/'],
    ['GET http://[::1]:8000/x', '[::1]:8000', '/x'],
    ['OPTIONS http://a.b', 'a.b', '*'],
    ['OPTIONS http://a.b/', 'a.b', '/'],
    ['OPTIONS *', 'a.b', '*'],
  ])('%s with host %s becomes %s', (line, host, target) => {
    expect(targetOf(line, host)).toBe(target)
  })
})

describe('a valid Host', () => {
  it.each([
    'a',
    'a.b:8000',
    'A.B',
    'a.b.',
    'a.b:',
    'a_b.c',
    'xn--caf-dma.fr',
    '127.0.0.1',
    '127.0.0.1:80',
    '[::1]',
    '[::FFFF:1.2.3.4]:65535',
    '1.2.3',
  ])('%s is accepted as sent', (host) => {
    const outcome = readRequest([bytesOf(`GET / HTTP/1.1\r\nhOsT:${host}\r\n\r\n`)])
    expect(outcome).toMatchObject({ value: { host, headers: ['hOsT', host] } })
  })
})

describe('framing', () => {
  it.each([
    ['', { kind: 'none' }],
    ['Content-Length: 0', { kind: 'length', bytes: 0 }],
    ['CONTENT-LENGTH:\t42 ', { kind: 'length', bytes: 42 }],
    ['Content-Length: 007', { kind: 'length', bytes: 7 }],
    ['Content-Length: 9007199254740991', { kind: 'length', bytes: 9_007_199_254_740_991 }],
    ['Transfer-Encoding: chunked', { kind: 'chunked' }],
    ['transfer-encoding:CHUNKED', { kind: 'chunked' }],
  ])('of %j', (lines, framing) => {
    expect(headWith(lines).framing).toEqual(framing)
  })
})

describe('unframed', () => {
  it.each([
    ['POST', '', true],
    ['PUT', '', true],
    ['PATCH', '', true],
    ['POST', 'Content-Length: 0\r\n', false],
    ['PUT', 'Transfer-Encoding: chunked\r\n', false],
    ['GET', '', false],
    ['DELETE', '', false],
  ])('of %s with %j is %s, and ends the connection', (method, line, unframed) => {
    const text = `${method} / HTTP/1.1\r\nHost: a.b\r\n${line}\r\n`
    const head = new RequestHeadReader().push(Buffer.from(text))?.head
    expect(head).toMatchObject({ unframed, keepAlive: !unframed })
  })
})

describe('keepAlive', () => {
  it.each([
    [1, '', true],
    [1, 'Connection: close', false],
    [1, 'Connection: x, CLOSE', false],
    [1, 'Connection: x\r\nConnection: close', false],
    [1, 'Connection: closed', true],
    [1, 'Connection: close\xa0', true],
    [0, '', false],
    [0, 'Connection: Keep-Alive', true],
    [0, 'Connection: keep-alive, close', false],
  ])('of HTTP/1.%i with %j is %s', (minor, lines, keepAlive) => {
    expect(headWith(lines, minor).keepAlive).toBe(keepAlive)
  })
})

describe('upgrade', () => {
  it.each([
    ['Connection: Upgrade\r\nUpgrade: websocket', 'websocket'],
    ['connection: keep-alive, UPGRADE\r\nUPGRADE: WebSocket', 'WebSocket'],
    ['Connection: x\r\nConnection: upgrade\r\nUpgrade: SPDY/3.1', 'SPDY/3.1'],
    ['Connection: Upgrade\r\nUpgrade: tcp', 'tcp'],
    ['Connection: Upgrade\r\nUpgrade: a\r\nUpgrade: b', 'a, b'],
    ['Upgrade: websocket', undefined],
    ['Connection: Upgrade', undefined],
    ['Connection: Upgrade\r\nUpgrade:', undefined],
    ['Connection: Upgrade-Insecure\r\nUpgrade: x', undefined],
    ['Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x', undefined],
    ['Connection: Upgrade\r\nUpgrade: websocket, H2C', undefined],
  ])('of %j', (lines, upgrade) => {
    expect(headWith(lines).upgrade).toBe(upgrade)
  })

  it('is ignored in HTTP/1.0', () => {
    expect(headWith('Connection: Upgrade\r\nUpgrade: websocket', 0).upgrade).toBeUndefined()
  })
})

describe('expectContinue', () => {
  it.each([
    [1, 'Expect: 100-continue', true],
    [1, 'expect: 100-Continue', true],
    [1, 'Expect: 200-ok', false],
    [1, '', false],
    [0, 'Expect: 100-continue', false],
  ])('of HTTP/1.%i with %j is %s', (minor, lines, expected) => {
    expect(headWith(lines, minor).expectContinue).toBe(expected)
  })
})
