import { inspect } from 'node:util'

import { expect, test } from 'vitest'

import { isTunnelError, TUNNEL_ERRORS, TunnelError, type TunnelErrorCode } from '../src/errors.ts'

const codes = Object.keys(TUNNEL_ERRORS) as TunnelErrorCode[]

test.each(codes)('%s is known by name and code, with what its row says', (code) => {
  const error = new TunnelError(code, 'text')
  expect(isTunnelError(error)).toBe(true)
  expect(isTunnelError(error, code)).toBe(true)
  expect(codes.filter((other) => isTunnelError(error, other))).toEqual([code])
  expect(error.retryable).toBe(TUNNEL_ERRORS[code].retryable)
  expect(inspect(error)).toContain(code)
})

test('an error of another copy of the package is known', () => {
  const other = Object.assign(new Error('text'), { name: 'TunnelError', code: 'TUNNEL_CLOSED' })
  expect(isTunnelError(other, 'TUNNEL_CLOSED')).toBe(true)
})

test.each([
  ['undefined', undefined],
  ['null', null],
  ['a plain object', { name: 'TunnelError', code: 'TUNNEL_CLOSED' }],
  ['an error of another name', Object.assign(new Error('x'), { code: 'TUNNEL_CLOSED' })],
  ['an error without a code', Object.assign(new Error('x'), { name: 'TunnelError' })],
  ['an unknown code', Object.assign(new Error('x'), { name: 'TunnelError', code: 'TUNNEL_X' })],
  ['an inherited name', Object.assign(new Error('x'), { name: 'TunnelError', code: 'toString' })],
])('%s is none of ours', (_, value) => {
  expect(isTunnelError(value)).toBe(false)
})

test('it carries its cause, its status and the advice, and nothing it was not given', () => {
  const cause = new Error('why')
  const full = new TunnelError('TUNNEL_UNAUTHORIZED', 'x', { cause, status: 401, retryAfterMs: 5 })
  expect(full).toMatchObject({ cause, status: 401, retryAfterMs: 5 })
  expect('cause' in new TunnelError('TUNNEL_CLOSED', 'x')).toBe(false)
})
