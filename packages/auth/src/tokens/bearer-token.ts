import { AuthError } from '../errors.ts'

/** Longest token that is decoded, bytes; the largest of real issuers have half of that. */
export const MAX_TOKEN_BYTES = 8192

/** Header that is read first, so that a proxy on the path may use `Authorization` itself. */
const OWN_HEADER = 'x-piko-authorization'

/** Headers as `node:http` has them: lower-case names. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * Reads the token of a request, as Piko does: from `x-piko-authorization`, else from `authorization`,
 * and from nowhere else. With the first present the second is ignored, whatever it holds.
 *
 * @throws {AuthError} IDENTITY_AUTHORIZATION_MISSING when neither is there;
 *   IDENTITY_AUTHORIZATION_INVALID when it is one word; IDENTITY_SCHEME_UNSUPPORTED for another scheme
 *   than `Bearer`; IDENTITY_TOKEN_INVALID for a token longer than {@link MAX_TOKEN_BYTES}.
 */
export function bearerToken(headers: Headers): string {
  const value = text(headers[OWN_HEADER]) || text(headers['authorization'])
  if (value === '') throw new AuthError('IDENTITY_AUTHORIZATION_MISSING')
  const space = value.indexOf(' ')
  if (space < 0) throw new AuthError('IDENTITY_AUTHORIZATION_INVALID')
  if (value.slice(0, space) !== 'Bearer') throw new AuthError('IDENTITY_SCHEME_UNSUPPORTED')
  const token = value.slice(space + 1)
  checkTokenSize(token)
  return token
}

/**
 * @param maxBytes - default: {@link MAX_TOKEN_BYTES}
 * @throws {AuthError} IDENTITY_TOKEN_INVALID for a longer token.
 */
export function checkTokenSize(token: string, maxBytes: number = MAX_TOKEN_BYTES): void {
  if (token.length > maxBytes) {
    throw new AuthError('IDENTITY_TOKEN_INVALID', `it is longer than ${maxBytes} bytes`)
  }
}

function text(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : (value ?? []).join(', ')
}
