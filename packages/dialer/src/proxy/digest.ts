// Digest access authentication (RFC 7616), as a client of a proxy: qop "auth", and without qop as in
// RFC 2069.

import { createHash, randomBytes } from 'node:crypto'

import type { ParsedChallenge } from './challenge.ts'

/** What a Digest answer is made of. */
export interface DigestRequest {
  readonly method: string
  /** Target of the request, exactly as sent. */
  readonly target: string
  readonly username: string
  readonly password: string
  /** The client nonce; random outside of tests. */
  readonly clientNonce?: string
}

/**
 * Answers a Digest challenge.
 * @returns the value of Proxy-Authorization, or undefined when the algorithm or the quality of
 * protection is not supported
 */
export function answerDigest(
  { scheme, parameters }: ParsedChallenge,
  request: DigestRequest,
): string | undefined {
  const nonce = parameters.get('nonce')
  const algorithm = parameters.get('algorithm') ?? 'MD5'
  const hash = hashOf(algorithm)
  const qop = parameters
    .get('qop')
    ?.split(',')
    .map((one) => one.trim().toLowerCase())
  if (scheme !== 'digest' || nonce === undefined || hash === undefined) return undefined
  if (qop !== undefined && !qop.includes('auth')) return undefined
  const realm = parameters.get('realm') ?? ''
  const { method, target, username, password } = request
  const cnonce = request.clientNonce ?? randomBytes(16).toString('hex')
  const count = '00000001'
  // RFC 7616 section 3.4.2 to 3.4.4.
  const secret = hash(`${username}:${realm}:${password}`)
  const a1 = /-sess$/i.test(algorithm) ? hash(`${secret}:${nonce}:${cnonce}`) : secret
  const a2 = hash(`${method}:${target}`)
  const response =
    qop === undefined
      ? hash(`${a1}:${nonce}:${a2}`)
      : hash(`${a1}:${nonce}:${count}:${cnonce}:auth:${a2}`)
  const hashed = parameters.get('userhash')?.toLowerCase() === 'true'
  const opaque = parameters.get('opaque')
  return `Digest ${[
    ...userFields(hashed ? hash(`${username}:${realm}`) : username),
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(target)}`,
    `response="${response}"`,
    ...(parameters.has('algorithm') ? [`algorithm=${algorithm}`] : []),
    ...(opaque === undefined ? [] : [`opaque=${quote(opaque)}`]),
    // A session hash contains the client nonce, also without qop.
    ...(qop === undefined ? [] : ['qop=auth', `nc=${count}`]),
    ...(qop === undefined && !/-sess$/i.test(algorithm) ? [] : [`cnonce="${cnonce}"`]),
    ...(hashed ? ['userhash=true'] : []),
  ].join(', ')}`
}

/** Tells whether `answerDigest` has an answer to a challenge. */
export function supportsDigest(challenge: ParsedChallenge): boolean {
  const any = { method: '', target: '', username: '', password: '', clientNonce: '' }
  return answerDigest(challenge, any) !== undefined
}

// Names of the algorithms in RFC 7616 section 6.1, and of the hashes in OpenSSL.
const HASHES: Readonly<Record<string, string>> = {
  md5: 'md5',
  'sha-256': 'sha256',
  'sha-512-256': 'sha512-256',
}

function hashOf(algorithm: string): ((text: string) => string) | undefined {
  const name = algorithm.toLowerCase().replace(/-sess$/, '')
  const hash = Object.hasOwn(HASHES, name) ? HASHES[name] : undefined
  if (hash === undefined) return undefined
  try {
    createHash(hash)
  } catch {
    // OpenSSL in FIPS mode has no MD5.
    return undefined
  }
  return (text) => createHash(hash).update(text, 'utf8').digest('hex')
}

/** RFC 7616 section 3.4: a name that a quoted string cannot contain is encoded as in RFC 8187. */
function userFields(username: string): readonly string[] {
  if (/^[\x20-\x7e]*$/.test(username)) return [`username=${quote(username)}`]
  const encoded = encodeURIComponent(username).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return [`username*=UTF-8''${encoded}`]
}

function quote(text: string): string {
  return `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
