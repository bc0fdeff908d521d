import { describe, expect, it } from 'vitest'
import { bearerToken, type Headers, MAX_TOKEN_BYTES } from '../../src/tokens/bearer-token.ts'

function read(headers: Headers): string {
  try {
    return bearerToken(headers)
  } catch (error) {
    return String(error)
  }
}

const MISSING = 'AuthError: missing authorization'
const INVALID = 'AuthError: invalid authorization'
const UNSUPPORTED = 'AuthError: unsupported auth type'

describe('bearerToken', () => {
  it.each([
    [{ authorization: 'Bearer abc' }, 'abc'],
    [{ 'x-piko-authorization': 'Bearer abc' }, 'abc'],
    [{ 'x-piko-authorization': 'Bearer one', authorization: 'Bearer two' }, 'one'],
    [{ 'x-piko-authorization': '', authorization: 'Bearer two' }, 'two'],
    // The wrong kind in the first is not skipped in favour of the second.
    [{ 'x-piko-authorization': 'Basic one', authorization: 'Bearer two' }, UNSUPPORTED],
    [{ 'x-piko-authorization': 'one', authorization: 'Bearer two' }, INVALID],
    [{}, MISSING],
    [{ authorization: '' }, MISSING],
    [{ authorization: 'abc' }, INVALID],
    [{ authorization: 'Bearer' }, INVALID],
    [{ authorization: 'Bearer ' }, ''],
    [{ authorization: 'bearer abc' }, UNSUPPORTED],
    [{ authorization: 'BEARER abc' }, UNSUPPORTED],
    [{ authorization: 'Basic YTpi' }, UNSUPPORTED],
    [{ authorization: ' Bearer abc' }, UNSUPPORTED],
    [{ cookie: 'token=abc', 'sec-websocket-protocol': 'abc' }, MISSING],
    [{ 'x-piko-authorization': ['Bearer a', 'Bearer b'] }, 'a, Bearer b'],
  ])('of %j is %s', (headers, expected) => {
    expect(read(headers)).toBe(expected)
  })

  it('looks at 8 KiB and no more', () => {
    const token = 'x'.repeat(MAX_TOKEN_BYTES)
    expect(read({ authorization: `Bearer ${token}` })).toBe(token)
    expect(read({ authorization: `Bearer ${token}x` })).toBe(
      'AuthError: invalid token: it is longer than 8192 bytes',
    )
  })
})
