import { describe, expect, it } from 'vitest'
import { MAX_PATTERNS } from '../../src/rights/endpoint-patterns.ts'
import { isAuthError } from '../../src/errors.ts'
import { jwtRights } from '../../src/jwt/jwt-claims.ts'
import { type Right, scopePermits } from '../../src/rights/scope.ts'

/** What claims allow of three endpoints, as `right:endpoint` words; or the refusal. */
function allowed(claims: Record<string, unknown>): string {
  try {
    const { scope } = jwtRights(claims)
    const rights: Right[] = ['listen', 'connect']
    const words = rights.flatMap((right) =>
      ['pc1', 'pc2', 'web']
        .filter((endpoint) => scopePermits(scope, right, endpoint))
        .map((endpoint) => `${right}:${endpoint}`),
    )
    if (scopePermits(scope, 'admin')) words.push('admin')
    return words.join(' ')
  } catch (error) {
    if (!isAuthError(error, 'IDENTITY_TOKEN_INVALID')) throw error
    return error.message
  }
}

const ALL = 'listen:pc1 listen:pc2 listen:web connect:pc1 connect:pc2 connect:web admin'

describe('jwtRights', () => {
  it.each([
    [{}, ALL],
    [{ piko: {} }, ALL],
    [{ piko: null }, ALL],
    [{ piko: { endpoints: null } }, ALL],
    [{ piko: { endpoints: [] } }, ALL],
    [{ piko: { endpoints: ['pc1'] } }, 'listen:pc1 connect:pc1 admin'],
    // Piko knows no patterns.
    [{ piko: { endpoints: ['pc*'] } }, 'admin'],
    [{ adit: { may: [] } }, ''],
    [{ adit: { may: ['listen'] } }, 'listen:pc1 listen:pc2 listen:web'],
    [{ adit: { may: ['connect'], endpoints: ['pc*'] } }, 'connect:pc1 connect:pc2'],
    [
      { adit: { may: ['listen', 'connect'], endpoints: ['pc1', 'w*'] } },
      'listen:pc1 listen:web connect:pc1 connect:web',
    ],
    [{ adit: { may: ['admin'] } }, 'admin'],
    [{ adit: { may: ['listen'], endpoints: [] } }, ''],
    [{ adit: { may: ['fly', 'listen'], endpoints: ['web'], colour: 1 } }, 'listen:web'],
    // Both claims: both must allow.
    [
      { piko: { endpoints: ['pc1', 'web'] }, adit: { may: ['listen'], endpoints: ['pc*'] } },
      'listen:pc1',
    ],
    [{ piko: { endpoints: ['web'] }, adit: { may: ['listen'], endpoints: ['pc*'] } }, ''],
    [{ piko: 'all' }, 'invalid token: the claim piko is no object'],
    [{ piko: ['pc1'] }, 'invalid token: the claim piko is no object'],
    [{ piko: { endpoints: 'pc1' } }, 'invalid token: piko.endpoints is no list of names'],
    [{ piko: { endpoints: [1] } }, 'invalid token: piko.endpoints is no list of names'],
    [{ adit: null }, 'invalid token: the claim adit is no object'],
    [{ adit: {} }, 'invalid token: adit.may is no list of words'],
    [{ adit: { may: 'listen' } }, 'invalid token: adit.may is no list of words'],
    [
      { adit: { may: [], endpoints: null } },
      'invalid token: adit.endpoints is no list of patterns',
    ],
    [{ adit: { may: [], endpoints: [''] } }, 'invalid token: a pattern of adit.endpoints is empty'],
    [{ adit: { may: [], tenant: 1 } }, 'invalid token: adit.tenant is no text'],
    [{ adit: { may: [], tenant: 'a/b' } }, 'invalid token: adit.tenant contains a slash'],
    [{ adit: { may: [], tenant: '' } }, ''],
    [
      { adit: { may: [], endpoints: Array(MAX_PATTERNS + 1).fill('a') } },
      'invalid token: adit.endpoints has over 1000',
    ],
    [{ adit: { may: [], endpoints: Array(MAX_PATTERNS).fill('a') } }, ''],
  ])('of %.80j: %s', (claims, expected) => {
    expect(allowed(claims)).toBe(expected)
  })

  it.each([
    [{ sub: 'me' }, 'jwt'],
    [{ sub: 'me', adit: { may: [] } }, 'jwt:me'],
    [{ adit: { may: [] } }, 'jwt'],
    [{ sub: '', adit: { may: [] } }, 'jwt'],
    [{ sub: 'x'.repeat(200), adit: { may: [] } }, `jwt:${'x'.repeat(200)}`],
  ])('names the identity of %.60j', (claims, identity) => {
    expect(jwtRights(claims).identity).toBe(identity)
  })

  it.each([1, 'x'.repeat(201), 'a\nb'])('refuses the subject %.10j', (sub) => {
    expect(() => jwtRights({ sub, adit: { may: [] } })).toThrow(/^invalid token: sub /)
  })

  it('names the tenant where there is one', () => {
    expect(jwtRights({ adit: { may: [], tenant: 'a' } }).tenant).toBe('a')
    expect(jwtRights({ adit: { may: [] } })).not.toHaveProperty('tenant')
  })
})
