import { describe, expect, it } from 'vitest'
import { type ForwardRequestOptions, rewriteRequestHead } from '../src/forward-request.ts'
import { getHeader } from '../src/header-list.ts'
import { CLIENT_ADDRESSES } from './plain-forwarding.ts'
import { bytesOf, headersIn, readRequest } from './feeding.ts'

const VISITOR: ForwardRequestOptions = { clientAddress: '203.0.113.7', scheme: 'http' }

/** Forwards a request with the given header lines after Host; returns them without the headers that are always added. */
function forward(lines: string, options: Partial<ForwardRequestOptions> = {}, minor = 1): string[] {
  return allOf(lines, options, minor).filter((_, at, all) => {
    const name = all[at - (at % 2)] ?? ''
    return (
      name !== 'Host' && !/^x-(?:forwarded-(?:for|proto|host)|piko-forward)$|^adit-hops$/.test(name)
    )
  })
}

function allOf(lines: string, options: Partial<ForwardRequestOptions> = {}, minor = 1): string[] {
  const text = `POST /x HTTP/1.${minor}\r\nHost: A.b:8000\r\n${lines}${lines && '\r\n'}\r\n`
  const outcome = readRequest([bytesOf(text)])
  if (outcome === undefined || !('value' in outcome)) throw new Error(JSON.stringify(outcome))
  return headersIn(rewriteRequestHead(outcome.value, { ...VISITOR, ...options }))
}

describe('rewriteRequestHead', () => {
  it('keeps order, case and repetition, and adds the headers for the next hop', () => {
    expect(allOf('X-B: 1\r\nx-a: 2\r\nX-B: 3\r\nContent-Length: 4')).toEqual([
      'Host',
      'A.b:8000',
      'X-B',
      '1',
      'x-a',
      '2',
      'X-B',
      '3',
      'Content-Length',
      '4',
      'x-forwarded-for',
      '203.0.113.7',
      'x-forwarded-proto',
      'http',
      'x-forwarded-host',
      'A.b:8000',
      'x-piko-forward',
      'true',
      'adit-hops',
      '1',
    ])
  })

  it.each([...CLIENT_ADDRESSES])('removes %s unless a trusted proxy wrote it', (name) => {
    const line = `${name.toUpperCase()}: 10.0.0.1`
    expect(forward(line)).toEqual([])
    expect(forward(`Connection: ${name}`)).toEqual([])
    const kept = [name.toUpperCase(), '10.0.0.1']
    expect(forward(`${line}\r\nConnection: ${name}`, { trustedHops: 1 })).toEqual(kept)
    expect(forward(line.replaceAll('-', '_'), { trustedHops: 1 })).toEqual([])
  })

  it.each([
    'X_Forwarded_Prefix',
    'x-forwarded_user',
    'X-Forwarded-Client_Cert',
    'X_FORWARDED_ANYTHING_THAT_IS_LONGER_THAN_EVERY_NAME_OF_THE_TABLE',
    'Content_Length',
    'Transfer_Encoding',
    'X_Piko_Endpoint',
    'Adit_Hops',
    'Proxy_Authorization',
  ])('removes %s, which CGI takes for the name with hyphens', (name) => {
    expect(forward(`${name}: 1`, { trustedHops: 1 })).toEqual([])
  })

  it.each([
    ['', '1'],
    ['Adit-Hops: 0', '1'],
    ['Adit-Hops: 1', '2'],
    ['adit-hops: 2\r\nConnection: adit-hops', '3'],
    ['Adit-Hops: 999', '1000'],
    ['Adit-Hops:', 'Infinity'],
    ['Adit-Hops: -1', 'Infinity'],
    ['Adit-Hops: 1.5', 'Infinity'],
    ['Adit-Hops: 1000', 'Infinity'],
    ['Adit-Hops: 1\r\nAdit-Hops: 1', 'Infinity'],
  ])('counts the Adit servers on the way behind %j', (lines, hops) => {
    expect(getHeader(allOf(lines), 'adit-hops')).toBe(hops)
  })

  it.each([
    ['Connection: close'],
    ['Connection: keep-alive\r\nKeep-Alive: timeout=5'],
    ['Proxy-Connection: keep-alive'],
    ['Proxy-Authorization: Basic x\r\nProxy-Authenticate: Basic'],
    ['TE: gzip'],
    ['Upgrade: websocket'],
    ['Connection: x-secret, X-Other\r\nX-Secret: 1\r\nx-other: 2'],
    ['X-Late: 1\r\nConnection: close\r\nConnection: x-late'],
    ['Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM'],
    ['x-piko-authorization: Bearer x'],
    ['X-Piko-Authorization: Bearer x\r\nx-piko-forward: true'],
    ['X_Piko_Authorization: Bearer x\r\nx_forwarded_for: 10.0.0.1\r\nX-Forwarded_Proto: https'],
    ['Forwarded: for=10.0.0.1'],
    ['X-Forwarded-Port: 443\r\nX-Forwarded-Prefix: /evil\r\nX-Forwarded-User: root'],
  ])('removes %j', (lines) => {
    expect(forward(lines)).toEqual([])
  })

  it.each([
    ['Connection: host, content-length\r\nContent-Length: 4', ['Content-Length', '4']],
    [
      'Connection: transfer-encoding\r\nTransfer-Encoding: chunked',
      ['Transfer-Encoding', 'chunked'],
    ],
    ['Connection: authorization, cookie\r\nCookie: a', ['Cookie', 'a']],
    ['Trailer: X-Sum', ['Trailer', 'X-Sum']],
    ['X_Custom: 1', ['X_Custom', '1']],
    ['X-Piko-Endpoint: e', ['X-Piko-Endpoint', 'e']],
    ['__proto__: 1\r\nconstructor: 2', ['__proto__', '1', 'constructor', '2']],
    ['Expect: 100-continue', ['Expect', '100-continue']],
    ['Authorization: Basic x', ['Authorization', 'Basic x']],
  ])('keeps the protected headers of %j', (lines, headers) => {
    expect(forward(lines)).toEqual(headers)
    expect(allOf(lines).slice(0, 2)).toEqual(['Host', 'A.b:8000'])
  })

  it('sets the forwarding headers even when Connection names them', () => {
    const headers = allOf('Connection: x-forwarded-for, x-piko-forward, x-forwarded-proto')
    expect(getHeader(headers, 'x-forwarded-for')).toBe('203.0.113.7')
    expect(getHeader(headers, 'x-forwarded-proto')).toBe('http')
    expect(getHeader(headers, 'x-piko-forward')).toBe('true')
  })

  it('keeps TE: trailers and no other coding', () => {
    expect(forward('TE: trailers')).toEqual(['TE', 'trailers'])
    expect(forward('te: gzip, Trailers\r\nTE: trailers\r\nConnection: TE')).toEqual([
      'TE',
      'trailers',
    ])
  })

  it('forwards an upgrade with a new Connection header', () => {
    expect(forward('connection: keep-alive, UPGRADE\r\nupgrade: WebSocket')).toEqual([
      'Connection',
      'Upgrade',
      'Upgrade',
      'WebSocket',
    ])
    expect(forward('Connection: Upgrade\r\nUpgrade: websocket', {}, 0)).toEqual([])
  })

  it('removes Authorization when it contained the credential', () => {
    const lines = 'authorization: Bearer x\r\nX: y'
    expect(forward(lines, { authorizationConsumed: true })).toEqual(['X', 'y'])
  })

  it('replaces X-Request-Id when requestId is set', () => {
    const lines = 'X-Request-Id: 1\r\nx-request-id: 2\r\nX_Request_Id: 3'
    expect(forward(lines, { requestId: 'a-1' })).toEqual(['x-request-id', 'a-1'])
    expect(forward('X-Request-Id: 1')).toEqual(['X-Request-Id', '1'])
    expect(() => forward('', { requestId: 'a\r\nb: c' })).toThrow(TypeError)
  })

  it('removes Expect from an HTTP/1.0 request', () => {
    expect(forward('Expect: 100-continue', {}, 0)).toEqual([])
  })
})

describe('trustedHops', () => {
  const incoming =
    'X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\nx-forwarded-for: 10.0.0.3\r\nForwarded: for=10.0.0.1'

  it.each([
    [0, '203.0.113.7'],
    [1, '10.0.0.3, 203.0.113.7'],
    [2, '10.0.0.2, 10.0.0.3, 203.0.113.7'],
    [3, '10.0.0.1, 10.0.0.2, 10.0.0.3, 203.0.113.7'],
    [9, '10.0.0.1, 10.0.0.2, 10.0.0.3, 203.0.113.7'],
  ])('of %i keeps that many entries', (trustedHops, expected) => {
    const headers = allOf(incoming, { trustedHops })
    expect(getHeader(headers, 'x-forwarded-for')).toBe(expected)
    expect(getHeader(headers, 'forwarded')).toBe(trustedHops === 0 ? undefined : 'for=10.0.0.1')
  })

  it.each([
    [0, 'X-Forwarded-Proto: https\r\nX-Forwarded-Host: c.d', 'http', 'A.b:8000'],
    [1, 'X-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: c.d', 'https', 'c.d'],
    [1, 'X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: e.f, c.d', 'https', 'c.d'],
    [2, 'X-Forwarded-Proto: http, https\r\nX-Forwarded-Host: c.d', 'http', 'c.d'],
    [1, 'X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a@b', 'http', 'A.b:8000'],
    [1, '', 'http', 'A.b:8000'],
  ])('of %i with %j', (trustedHops, lines, proto, host) => {
    const headers = allOf(lines, { trustedHops })
    expect(getHeader(headers, 'x-forwarded-proto')).toBe(proto)
    expect(getHeader(headers, 'x-forwarded-host')).toBe(host)
  })

  it.each([-1, 0.5, NaN, Infinity])('of %d is rejected', (trustedHops) => {
    expect(() => allOf('', { trustedHops })).toThrow(RangeError)
  })
})

describe('trustedHeader forwarded', () => {
  const trustedHeader = 'forwarded'
  const values = (headers: readonly string[]) =>
    ['for', 'proto', 'host'].map((name) => getHeader(headers, `x-forwarded-${name}`))

  it.each([
    ['for=10.0.0.1, for=10.0.0.2;proto=https;host=c.d', 0, ['203.0.113.7', 'http', 'A.b:8000']],
    [
      'for=10.0.0.1, for=10.0.0.2;proto=https;host=c.d',
      1,
      ['10.0.0.2, 203.0.113.7', 'https', 'c.d'],
    ],
    [
      'for=10.0.0.1;proto=HTTPS\r\nForwarded: for="[2001:db8::1]:80"',
      2,
      ['10.0.0.1, 2001:db8::1, 203.0.113.7', 'https', 'A.b:8000'],
    ],
    ['for=10.0.0.1:81', 1, ['unknown, 203.0.113.7', 'http', 'A.b:8000']],
    ['for="10.0.0.1:81"', 1, ['10.0.0.1, 203.0.113.7', 'http', 'A.b:8000']],
    ['for=unknown', 1, ['unknown, 203.0.113.7', 'http', 'A.b:8000']],
    ['for=_x;host="a@b"', 1, ['unknown, 203.0.113.7', 'http', 'A.b:8000']],
  ])('reads %j behind %i proxies', (line, trustedHops, expected) => {
    const incoming = `Forwarded: ${line}\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: gopher`
    const headers = allOf(incoming, { trustedHops, trustedHeader })
    expect(values(headers)).toEqual(expected)
    // What a visitor may have written at its beginning must not reach the service.
    expect(getHeader(headers, 'forwarded')).toBeUndefined()
  })
})

describe('sendsForwarded', () => {
  const sendsForwarded = true
  const own = 'for=203.0.113.7;host="A.b:8000";proto=http'

  it.each([
    ['Forwarded: for=6.6.6.6', {}, own],
    ['X-Forwarded-For: 6.6.6.6', {}, own],
    [
      'Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 10.0.0.1',
      { trustedHops: 1 },
      `for=10.0.0.1, ${own}`,
    ],
    [
      'X-Forwarded-For: 6.6.6.6, 10.0.0.1, ::1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: c.d',
      { trustedHops: 2 },
      `for=10.0.0.1;host=c.d;proto=https, for="[::1]", ${own}`,
    ],
    [
      'Forwarded: for=6.6.6.6, for=10.0.0.1;proto=https;by=_x',
      { trustedHops: 1, trustedHeader: 'forwarded' },
      `for=10.0.0.1;proto=https, ${own}`,
    ],
    [
      'Forwarded: for="6.6.6.6, for=10.0.0.1;proto=https',
      { trustedHops: 1, trustedHeader: 'forwarded' },
      `for=unknown, ${own}`,
    ],
  ] as const)('of %j with %j', (lines, options, expected) => {
    const headers = allOf(lines, { ...options, sendsForwarded })
    expect(getHeader(headers, 'forwarded')).toBe(expected)
  })
})

describe('clientAddress', () => {
  it.each(['', 'a b', '1.2.3.4\r\nX: y', '1.2.3.4, 5.6.7.8', '\u0661'])(
    '%j is rejected',
    (text) => {
      expect(() => allOf('', { clientAddress: text })).toThrow(TypeError)
    },
  )

  it('may be IPv6', () => {
    const headers = allOf('', { clientAddress: '2001:db8::1', scheme: 'https' })
    expect(getHeader(headers, 'x-forwarded-for')).toBe('2001:db8::1')
    expect(getHeader(headers, 'x-forwarded-proto')).toBe('https')
  })
})
