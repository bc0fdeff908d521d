/**
 * Opaque tokens: `adit_<id>_<secret>`. The identifier is no secret: it names the token in lists and
 * logs. The secret is 160 random bits and a checksum over everything before it, so that secret scanners
 * recognise a token, and a mistyped one is rejected without asking the store.
 * What is stored is SHA-256 of the whole text: the secret is too random to be guessed from it, so a
 * slow hash would only make every handshake slower.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Crockford's base 32 in lower case: no letters that look alike, and one double click selects it. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const PREFIX = 'adit_'
const ID_LENGTH = 8
/** 32 characters of 5 bits. */
const SECRET_LENGTH = 32
/** 7 characters of 5 bits hold the 32 bits of a CRC. */
const CHECKSUM_LENGTH = 7
const FORM = new RegExp(
  `^${PREFIX}([${ALPHABET}]{${ID_LENGTH}})_[${ALPHABET}]{${SECRET_LENGTH + CHECKSUM_LENGTH}}$`,
)
const LENGTH = PREFIX.length + ID_LENGTH + 1 + SECRET_LENGTH + CHECKSUM_LENGTH

/** A token that was just made: the only time its text is known. */
export interface OpaqueToken {
  /** Names the token in lists and logs; no secret. */
  readonly id: string
  /** The token itself, to be shown once and kept nowhere. */
  readonly text: string
}

/** Makes a token of 160 random bits. Its identifier is random too: a store checks that it is new. */
export function createToken(): OpaqueToken {
  const id = randomText(ID_LENGTH)
  const start = `${PREFIX}${id}_${randomText(SECRET_LENGTH)}`
  return { id, text: start + checksum(start) }
}

/** Whether a text claims to be an opaque token; what does not is something else, such as a JWT. */
export function isOpaqueToken(text: string): boolean {
  return text.startsWith(PREFIX)
}

/**
 * Reads the identifier of a token.
 *
 * @returns the identifier, or undefined for what is no token: another form, or a wrong checksum. A
 *   text with an identifier is well-formed; only its hash shows whether it is one of your tokens.
 */
export function parseToken(text: string): string | undefined {
  if (text.length !== LENGTH) return undefined
  const id = FORM.exec(text)?.[1]
  const end = LENGTH - CHECKSUM_LENGTH
  return checksum(text.slice(0, end)) === text.slice(end) ? id : undefined
}

/** SHA-256 of a token's text, 32 bytes: what a store keeps in its place. */
export function hashToken(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Whether two hashes or secrets are equal; the time it takes depends on nothing but their lengths. */
export function isSameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

function randomText(length: number): string {
  // A byte holds eight times the alphabet, so that no character is likelier than another.
  return Array.from(randomBytes(length), (byte) => ALPHABET[byte % ALPHABET.length]).join('')
}

function checksum(text: string): string {
  let rest = crc32(text)
  let digits = ''
  for (let at = 0; at < CHECKSUM_LENGTH; at++) {
    digits = `${ALPHABET[rest % ALPHABET.length]}${digits}`
    rest = Math.floor(rest / ALPHABET.length)
  }
  return digits
}
