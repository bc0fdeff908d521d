import { describe, expect, it } from 'vitest'
import { isInterim, ResponseHeadReader } from '../src/response-head.ts'
import { bytesOf, readResponse, singleBytes, withHeaders } from './feeding.ts'
import { REJECTED_RESPONSES } from './rejected.ts'

/** Reads a valid response head. */
function headOf(text: string, method = 'GET', upgrade?: string) {
  const outcome = readResponse([bytesOf(`${text}\r\n\r\n`)], { method, upgrade })
  if (outcome === undefined || !('value' in outcome)) throw new Error(JSON.stringify(outcome))
  return outcome.value
}

describe('ResponseHeadReader', () => {
  it('reads a head and returns the bytes after it', () => {
    const result = new ResponseHeadReader().push(
      bytesOf('HTTP/1.1 404 Not Found\r\nServer: x\r\ncontent-length: 2\r\n\r\nno'),
      { method: 'GET' },
    )
    expect(withHeaders(result?.head)).toEqual({
      status: 404,
      reason: 'Not Found',
      versionMinor: 1,
      headers: ['Server', 'x', 'content-length', '2'],
      framing: { kind: 'length', bytes: 2 },
      keepAlive: true,
      upgrade: undefined,
    })
    expect(result?.rest.toString()).toBe('no')
  })

  it('reads interim responses and then the final one', () => {
    const reader = new ResponseHeadReader()
    const request = { method: 'POST' }
    let rest = bytesOf(
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\n\r\n',
    )
    const statuses: number[] = []
    for (let result = reader.push(rest, request); result; result = reader.push(rest, request)) {
      statuses.push(result.head.status)
      rest = result.rest
    }
    expect(statuses).toEqual([100, 103, 201])
    expect(reader.heldBytes).toBe(0)
  })

  it('drops an unfinished head on reset', () => {
    const reader = new ResponseHeadReader()
    reader.push(bytesOf('HTTP/1.1 500'), { method: 'GET' })
    expect(reader.heldBytes).toBe(12)
    reader.reset()
    const result = reader.push(bytesOf('HTTP/1.1 200 OK\r\n\r\n'), { method: 'GET' })
    expect(result?.head.status).toBe(200)
  })

  it.each([
    ['HTTP/1.1 200 OK', 200, 'OK'],
    ['HTTP/1.1 200 ', 200, ''],
    ['HTTP/1.1 200', 200, ''],
    ['HTTP/1.1 200\r\nA: b c', 200, ''],
    ['HTTP/1.0 299 Caf\xe9 \tx', 299, 'Caf\xe9 \tx'],
    ['HTTP/1.1 999 ?', 999, '?'],
  ])('reads the status line of %j', (text, status, reason) => {
    expect(headOf(text)).toMatchObject({ status, reason })
  })

  it('gives undefined for a truncated head, at every byte it is cut', () => {
    const bytes = bytesOf('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n')
    for (let end = 0; end < bytes.length; end++) {
      expect(readResponse([bytes.subarray(0, end)])).toBeUndefined()
      expect(readResponse([bytes.subarray(0, end), bytes.subarray(end)])).toMatchObject({
        taken: bytes.length,
      })
    }
  })
})

describe('a rejected response', () => {
  it.each(REJECTED_RESPONSES)('has $fault for $name', ({ fault, text }) => {
    const expected = { fault, side: 'response', status: 502 }
    expect(readResponse([bytesOf(text)])).toEqual(expected)
    expect(readResponse(singleBytes(bytesOf(text)))).toEqual(expected)
  })
})

describe('the framing of a response', () => {
  const chunked = 'Transfer-Encoding: chunked'
  it.each([
    ['GET', 'HTTP/1.1 200 OK', { kind: 'until-close' }, false],
    ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 3', { kind: 'length', bytes: 3 }, true],
    ['GET', `HTTP/1.1 200 OK\r\n${chunked}`, { kind: 'chunked' }, true],
    ['HEAD', 'HTTP/1.1 200 OK', { kind: 'none' }, true],
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 3', { kind: 'none' }, true],
    ['HEAD', `HTTP/1.1 200 OK\r\n${chunked}`, { kind: 'none' }, true],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 3', { kind: 'none' }, true],
    ['GET', 'HTTP/1.1 204 No Content', { kind: 'none' }, true],
    ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 0', { kind: 'none' }, true],
    // The service may send a body where none is allowed: the connection is not used again.
    ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 3', { kind: 'none' }, false],
    ['GET', `HTTP/1.1 204 No Content\r\n${chunked}`, { kind: 'none' }, false],
    ['GET', 'HTTP/1.1 103 Early Hints\r\nContent-Length: 3', { kind: 'none' }, false],
    ['GET', 'HTTP/1.1 100 Continue', { kind: 'none' }, true],
    ['GET', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3', expect.anything(), false],
    ['GET', 'HTTP/1.0 200 OK\r\nContent-Length: 3', { kind: 'length', bytes: 3 }, false],
    [
      'GET',
      'HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive',
      { kind: 'length', bytes: 3 },
      true,
    ],
  ])('to %s, %j', (method, text, framing, keepAlive) => {
    expect(headOf(text, method)).toMatchObject({ framing, keepAlive })
  })

  it('has the protocol of a 101 that was requested', () => {
    const text = 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: WebSocket'
    const head = headOf(text, 'GET', 'websocket')
    expect(head).toMatchObject({
      upgrade: 'WebSocket',
      framing: { kind: 'none' },
      keepAlive: false,
    })
    expect(headOf('HTTP/1.1 101 Switching', 'GET', 'tcp').upgrade).toBe('')
    expect(headOf('HTTP/1.1 200 OK\r\nUpgrade: x', 'GET', 'x').upgrade).toBeUndefined()
  })
})

describe('isInterim', () => {
  it.each([
    [100, true],
    [101, false],
    [103, true],
    [199, true],
    [200, false],
  ])('of %i is %s', (status, interim) => {
    expect(isInterim(status)).toBe(interim)
  })
})
