import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { HTTP_FAULTS, HttpError, isHttpError } from '../src/errors.ts'
import { RequestHeadReader } from '../src/request-head.ts'
import { bytesOf } from './feeding.ts'
import { REJECTED_BODIES, REJECTED_REQUESTS, REJECTED_RESPONSES } from './rejected.ts'

describe('HTTP_FAULTS', () => {
  it('has a test for each fault on each of its sides', () => {
    const ofBodies = REJECTED_BODIES.map(({ fault }) => fault)
    const tested = {
      request: new Set([...REJECTED_REQUESTS.map(({ fault }) => fault), ...ofBodies]),
      response: new Set([...REJECTED_RESPONSES.map(({ fault }) => fault), ...ofBodies]),
    }
    for (const side of ['request', 'response'] as const) {
      const declared = Object.entries(HTTP_FAULTS)
        .filter(([, { sides }]) => sides.includes(side))
        .map(([fault]) => fault)
      expect([...tested[side]].toSorted()).toEqual(declared.toSorted())
    }
  })
})

describe('HttpError', () => {
  it('has the code and the status of its side', () => {
    const error = new HttpError('request', 'HEAD_TOO_LARGE', 'maxHeadBytes is 64')
    expect(error).toMatchObject({ code: 'HTTP_REQUEST_HEAD_TOO_LARGE', status: 431 })
    expect(error).toMatchObject({ name: 'HttpError', side: 'request', retryable: false })
    expect(error.message).toBe(
      'request rejected: head longer than maxHeadBytes (maxHeadBytes is 64)',
    )
    const other = new HttpError('response', 'HEAD_TOO_LARGE', '')
    expect(other).toMatchObject({ code: 'HTTP_RESPONSE_HEAD_TOO_LARGE', status: 502 })
  })

  it('never shows header values or the target', () => {
    const secret = 'hunter2'
    const lines = [
      `Authorization: ${secret}\0`,
      `Content-Length: ${secret}`,
      `Transfer-Encoding: ${secret}`,
      `Host: ${secret}`,
      `Cookie ${secret}`,
      ` ${secret}`,
      `A: b\r\nX-${secret} : x`,
    ]
    const heads = lines.map((line) => `GET / HTTP/1.1\r\nHost: a\r\n${line}\r\n\r\n`)
    heads.push(`GET ${secret} HTTP/1.1\r\nHost: a\r\n\r\n`, `GET /?${secret}\r\n\r\n`)
    heads.push(`GET / HTTP/1.1\r\nHost: u:${secret}@a\r\n\r\n`)
    heads.push(`GET http://u:${secret}@a/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    for (const head of heads) {
      const error = errorOf(() => new RequestHeadReader().push(bytesOf(head)))
      expect(error).toBeInstanceOf(HttpError)
      expect(inspect(error, { showHidden: true })).not.toContain(secret)
      expect(JSON.stringify(error)).not.toContain(secret)
    }
  })
})

describe('isHttpError', () => {
  it('recognises an HttpError, and its code', () => {
    const error = new HttpError('request', 'HOST_MISSING', '0 headers')
    expect(isHttpError(error)).toBe(true)
    expect(isHttpError(error, 'HTTP_REQUEST_HOST_MISSING')).toBe(true)
    expect(isHttpError(error, 'HTTP_REQUEST_HOST_INVALID')).toBe(false)
  })

  it.each([
    [undefined],
    ['HttpError'],
    [new Error('x')],
    [Object.assign(new Error('x'), { code: 'HTTP_REQUEST_HOST_MISSING' })],
    [Object.assign(new Error('x'), { name: 'HttpError' })],
    [Object.assign(new Error('x'), { name: 'HttpError', code: 404 })],
    [{ name: 'HttpError', code: 'HTTP_REQUEST_HOST_MISSING' }],
  ])('rejects %j', (value) => {
    expect(isHttpError(value)).toBe(false)
  })
})

function errorOf(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  return undefined
}
