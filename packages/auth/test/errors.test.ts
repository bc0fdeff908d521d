import { describe, expect, it } from 'vitest'
import { AUTH_ERRORS, AuthError, isAuthError } from '../src/errors.ts'

describe('AuthError', () => {
  it('tells the peer less than the log', () => {
    const error = new AuthError('IDENTITY_TOKEN_INVALID', 'the signature is wrong')
    expect(error).toMatchObject({ status: 401, text: 'invalid token', retryable: false })
    expect(error.message).toBe('invalid token: the signature is wrong')
    expect(new AuthError('IDENTITY_TENANT_UNKNOWN').message).toBe('unknown tenant')
    expect(new AuthError('IDENTITY_KEYS_UNAVAILABLE')).toMatchObject({
      status: 503,
      retryable: true,
    })
    expect(new AuthError('IDENTITY_KEY_INVALID').status).toBe(500)
  })

  it('speaks as Piko where Piko speaks', () => {
    const texts = Object.values(AUTH_ERRORS)
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
    const error = new AuthError('IDENTITY_SCHEME_UNSUPPORTED')
    expect(isAuthError(error)).toBe(true)
    expect(isAuthError(error, 'IDENTITY_SCHEME_UNSUPPORTED')).toBe(true)
    expect(isAuthError(error, 'IDENTITY_AUTHORIZATION_INVALID')).toBe(false)
    expect(isAuthError(error, 'IDENTITY_AUTHORIZATION_MISSING')).toBe(false)
    for (const other of [
      undefined,
      null,
      'AuthError',
      { name: 'AuthError', code: error.code },
      new Error('x'),
    ]) {
      expect(isAuthError(other)).toBe(false)
    }
    expect(isAuthError(Object.assign(new Error('x'), { code: 'IDENTITY_X' }))).toBe(false)
    const named = Object.assign(new Error('x'), { name: 'AuthError', code: 'OTHER' })
    expect(isAuthError(named)).toBe(false)
  })
})
