import { describe, expect, it } from 'vitest'
import { RequestHeadReader } from '../src/request-head.ts'

describe('RequestHeadReader', () => {
  it('reads a head and gives back what follows it', () => {
    const reader = new RequestHeadReader()
    const bytes = Buffer.from(
      'POST /a?b HTTP/1.1\r\nHost: web.localhost:8000\r\nContent-Length: 3\r\n\r\nabc',
    )
    const result = reader.push(bytes)
    expect(result?.rest.toString()).toBe('abc')
    expect(result?.head).toEqual({
      method: 'POST',
      target: '/a?b',
      versionMinor: 1,
      headers: ['Host', 'web.localhost:8000', 'Content-Length', '3'],
      host: 'web.localhost:8000',
      framing: { kind: 'length', bytes: 3 },
      keepAlive: true,
      upgrade: undefined,
      expectContinue: false,
    })
  })
  it('reads the same head byte by byte', () => {
    const reader = new RequestHeadReader()
    const bytes = Buffer.from('\r\nGET / HTTP/1.1\r\nHost: a\r\nX:  y \r\n\r\n')
    let result
    for (let at = 0; at < bytes.length; at++) result = reader.push(bytes.subarray(at, at + 1))
    expect(result?.head.headers).toEqual(['Host', 'a', 'X', 'y'])
    expect(reader.heldBytes).toBe(0)
  })
})
