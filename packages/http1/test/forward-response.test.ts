import { describe, expect, it } from 'vitest'
import { rewriteResponseHead, visitorKeepAlive } from '../src/forward-response.ts'
import { bytesOf, headersIn, readResponse } from './feeding.ts'

const STAYS = { versionMinor: 1, keepAlive: true } as const
const CLOSES = { versionMinor: 1, keepAlive: false } as const
const OLD = { versionMinor: 0, keepAlive: false } as const
const OLD_STAYS = { versionMinor: 0, keepAlive: true } as const

/** Forwards a response with the given status and header lines. */
function forward(
  status: number,
  lines: string,
  options: typeof STAYS | typeof CLOSES | typeof OLD | typeof OLD_STAYS = STAYS,
) {
  const bytes = bytesOf(`HTTP/1.1 ${status} X\r\n${lines}${lines && '\r\n'}\r\n`)
  const outcome = readResponse([bytes], { method: 'GET', upgrade: 'x' })
  if (outcome === undefined || !('value' in outcome)) throw new Error(JSON.stringify(outcome))
  return headersIn(rewriteResponseHead(outcome.value, options))
}

describe('rewriteResponseHead', () => {
  it.each([
    ['Connection: close\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2', []],
    ['Connection: x-a\r\nX-A: 1\r\nX-B: 2', ['X-B', '2']],
    ['Adit-Error: no_upstream\r\nADIT-ERROR: x\r\nX-B: 2', ['X-B', '2']],
    ['Adit-Error: no_upstream\r\nConnection: adit-error', []],
    [
      'Connection: set-cookie, content-length\r\nSet-Cookie: a\r\nContent-Length: 3',
      ['Set-Cookie', 'a', 'Content-Length', '3'],
    ],
    [
      'Transfer-Encoding: chunked\r\nTrailer: X-Sum',
      ['Transfer-Encoding', 'chunked', 'Trailer', 'X-Sum'],
    ],
    [
      'WWW-Authenticate: Basic\r\nSet-Cookie: a\r\nset-cookie: b',
      ['WWW-Authenticate', 'Basic', 'Set-Cookie', 'a', 'set-cookie', 'b'],
    ],
  ])('of %j', (lines, headers) => {
    expect(forward(304, lines)).toEqual(headers)
  })

  it('adds chunks for an HTTP/1.1 visitor where the end of the connection is that of the body', () => {
    const added = ['Transfer-Encoding', 'chunked']
    expect(forward(200, 'A: b', STAYS)).toEqual(['A', 'b', ...added])
    expect(forward(200, 'A: b', CLOSES)).toEqual(['A', 'b', 'Connection', 'close', ...added])
    expect(forward(200, 'A: b', OLD)).toEqual(['A', 'b', 'Connection', 'close'])
    expect(forward(200, 'Content-Length: 0')).toEqual(['Content-Length', '0'])
    expect(forward(200, 'Transfer-Encoding: chunked')).toEqual(added)
    for (const status of [103, 204, 304]) expect(forward(status, 'A: b')).toEqual(['A', 'b'])
  })

  it('tells the visitor whether the connection stays open', () => {
    expect(forward(304, '', STAYS)).toEqual([])
    expect(forward(304, '', CLOSES)).toEqual(['Connection', 'close'])
    expect(forward(200, '', OLD)).toEqual(['Connection', 'close'])
    expect(forward(200, 'Content-Length: 0', OLD_STAYS)).toEqual([
      'Content-Length',
      '0',
      'Connection',
      'keep-alive',
    ])
  })

  it('writes no Connection in an interim response', () => {
    expect(forward(103, 'Link: </a>\r\nConnection: close', CLOSES)).toEqual(['Link', '</a>'])
  })

  it('removes chunked framing for an HTTP/1.0 visitor', () => {
    const headers = forward(200, 'Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\nA: b', OLD)
    expect(headers).toEqual(['A', 'b', 'Connection', 'close'])
  })

  it('removes framing where no body is allowed', () => {
    expect(forward(204, 'Content-Length: 0\r\nA: b')).toEqual(['A', 'b'])
    expect(forward(204, 'Transfer-Encoding: chunked')).toEqual([])
    expect(forward(304, 'Content-Length: 5')).toEqual(['Content-Length', '5'])
  })

  it('forwards a switch of protocols', () => {
    const lines = 'connection: upgrade\r\nupgrade: WebSocket\r\nSec-WebSocket-Accept: x'
    expect(forward(101, lines)).toEqual([
      'Sec-WebSocket-Accept',
      'x',
      'Upgrade',
      'WebSocket',
      'Connection',
      'Upgrade',
    ])
    expect(forward(101, '')).toEqual(['Connection', 'Upgrade'])
  })

  it('forwards a required upgrade', () => {
    const lines = 'Connection: upgrade\r\nUpgrade: TLS/1.0\r\nContent-Length: 0'
    expect(forward(426, lines, CLOSES)).toEqual([
      'Content-Length',
      '0',
      'Upgrade',
      'TLS/1.0',
      'Connection',
      'Upgrade, close',
    ])
  })
})

describe('visitorKeepAlive', () => {
  it.each([
    [true, 1, 200, 'length', true],
    [true, 1, 200, 'chunked', true],
    [true, 1, 204, 'none', true],
    [true, 1, 200, 'until-close', true],
    [true, 0, 200, 'until-close', false],
    [true, 1, 101, 'none', false],
    [false, 1, 200, 'length', false],
    [true, 0, 200, 'length', true],
    [true, 0, 200, 'chunked', false],
  ] as const)(
    '%s, HTTP/1.%i, status %i, %s: %s',
    (keepAlive, versionMinor, status, kind, stays) => {
      const framing = kind === 'length' ? { kind, bytes: 1 } : { kind }
      expect(visitorKeepAlive({ keepAlive, versionMinor }, { status, framing })).toBe(stays)
    },
  )
})
