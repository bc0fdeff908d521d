import { describe, expect, it } from 'vitest'
import { IDENTITY_ERRORS, IdentityError, isIdentityError } from '../src/errors.ts'

describe('IdentityError', () => {
  it('tells the peer less than the log', () => {
    const error = new IdentityError('IDENTITY_TOKEN_INVALID', 'the signature is wrong')
    expect(error).toMatchObject({ status: 401, text: 'invalid token', retryable: false })
    expect(error.message).toBe('invalid token: the signature is wrong')
    expect(new IdentityError('IDENTITY_TENANT_UNKNOWN').message).toBe('unknown tenant')
    expect(new IdentityError('IDENTITY_KEYS_UNAVAILABLE')).toMatchObject({
      status: 503,
      retryable: true,
    })
    expect(new IdentityError('IDENTITY_KEY_INVALID').status).toBe(500)
  })

  it('speaks as Piko where Piko speaks', () => {
    const texts = Object.values(IDENTITY_ERRORS)
      .filter(({ status }) => status === 401)
      .map(({ text }) => text)
    expect(texts).toEqual([
      'invalid authorization',
      'missing authorization',
      'unsupported auth type',
      'unknown tenant',
      'expired token',
      'invalid token',
    ])
  })

  it('is known by name and code', () => {
    const error = new IdentityError('IDENTITY_SCHEME_UNSUPPORTED')
    expect(isIdentityError(error)).toBe(true)
    expect(isIdentityError(error, 'IDENTITY_SCHEME_UNSUPPORTED')).toBe(true)
    expect(isIdentityError(error, 'IDENTITY_AUTHORIZATION_INVALID')).toBe(false)
    expect(isIdentityError(error, 'IDENTITY_AUTHORIZATION_MISSING')).toBe(false)
    for (const other of [
      undefined,
      null,
      'IdentityError',
      { name: 'IdentityError', code: error.code },
      new Error('x'),
    ]) {
      expect(isIdentityError(other)).toBe(false)
    }
    expect(isIdentityError(Object.assign(new Error('x'), { code: 'IDENTITY_X' }))).toBe(false)
    const named = Object.assign(new Error('x'), { name: 'IdentityError', code: 'OTHER' })
    expect(isIdentityError(named)).toBe(false)
  })
})
