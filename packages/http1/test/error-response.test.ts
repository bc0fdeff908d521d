import { describe, expect, it } from 'vitest'
import { formatErrorResponse } from '../src/error-response.ts'
import { getHeader } from '../src/header-list.ts'
import { readBody, readResponse } from './feeding.ts'

const RESPONSE = {
  status: 502,
  message: 'no available upstreams',
  code: 'UPSTREAM_NONE',
  keepAlive: true,
}

describe('formatErrorResponse', () => {
  it('writes the body of Piko, and a code', () => {
    expect(formatErrorResponse(RESPONSE).toString()).toBe(
      [
        'HTTP/1.1 502 Bad Gateway',
        'content-type: application/json',
        'x-content-type-options: nosniff',
        'adit-error: UPSTREAM_NONE',
        'content-length: 35',
        'connection: keep-alive',
        '',
        '{"error":"no available upstreams"}\n',
      ].join('\r\n'),
    )
  })

  it('is a response that can be read, with any message', () => {
    const message = 'caf\u00e9 "\r\n\u2028\ud800'
    const bytes = formatErrorResponse({ ...RESPONSE, message, keepAlive: false })
    const outcome = readResponse([bytes])
    if (outcome === undefined || !('value' in outcome)) throw new Error('not a response')
    const { framing, keepAlive } = outcome.value
    expect(keepAlive).toBe(false)
    const body = readBody([bytes.subarray(outcome.taken)], framing, 'response')
    expect(body).toMatchObject({ taken: bytes.length - outcome.taken })
    expect(JSON.parse(bytes.subarray(outcome.taken).toString())).toEqual({ error: message })
  })

  it('has no body for HEAD', () => {
    const whole = formatErrorResponse(RESPONSE).toString()
    const head = formatErrorResponse({ ...RESPONSE, method: 'HEAD' }).toString()
    expect(head).toBe(whole.slice(0, whole.indexOf('{')))
    expect(formatErrorResponse({ ...RESPONSE, method: 'GET' }).toString()).toBe(whole)
  })

  it('names each challenge', () => {
    const text = formatErrorResponse({ ...RESPONSE, challenges: ['Bearer', 'Basic'] }).toString()
    expect(text).toContain('\r\nwww-authenticate: Bearer\r\nwww-authenticate: Basic\r\n')
  })

  it.each([
    [0, '1'],
    [1, '1'],
    [1000, '1'],
    [1001, '2'],
  ])('writes a delay of %d ms as %s seconds', (retryAfterMs, seconds) => {
    const outcome = readResponse([formatErrorResponse({ ...RESPONSE, retryAfterMs })])
    if (outcome === undefined || !('value' in outcome)) throw new Error('not a response')
    expect(getHeader(outcome.value.headers, 'retry-after')).toBe(seconds)
  })

  it('writes a status without a known reason', () => {
    const text = formatErrorResponse({ ...RESPONSE, status: 499 }).toString()
    expect(text.startsWith('HTTP/1.1 499 \r\n')).toBe(true)
  })

  it.each([399, 600, 400.5, NaN])('rejects status %d', (status) => {
    expect(() => formatErrorResponse({ ...RESPONSE, status })).toThrow(RangeError)
  })

  it.each(['', 'A B', 'A\r\nX: y'])('rejects code %j', (code) => {
    expect(() => formatErrorResponse({ ...RESPONSE, code })).toThrow(TypeError)
  })
})
