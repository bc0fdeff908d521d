import { hasControls } from './password.ts'

/** User and password of a request. */
export interface BasicCredentials {
  /** What stands before the first colon. */
  readonly user: string
  /** What stands behind it. */
  readonly password: string
}

/** Longest credentials that are looked at, characters of base64: a user and a password of the longest kind. */
const MAX_ENCODED = 2048

/**
 * Reads the value of an Authorization header (RFC 7617). Texts are UTF-8, as our challenge demands; nothing
 * in them is percent-decoded, for that is the business of the client that read a URL.
 *
 * @returns undefined for another scheme, and for what is no well-formed pair.
 */
export function parseBasic(authorization: string): BasicCredentials | undefined {
  const [, encoded = ''] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization) ?? []
  if (encoded === '' || encoded.length > MAX_ENCODED) return undefined
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(encoded, 'base64'),
    )
  } catch {
    return undefined
  }
  const colon = text.indexOf(':')
  if (colon < 0 || hasControls(text)) return undefined
  return { user: text.slice(0, colon).normalize('NFC'), password: text.slice(colon + 1) }
}
