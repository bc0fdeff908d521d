/**
 * Passwords of visitors are kept and sent as scrypt verifiers, `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`:
 * an attacker who reads a registration, or the memory of a server, needs about 100 ms of a processor for each
 * guess. The cost is part of the text, so that it can grow, and is bounded, so that no peer can make a server
 * spend gigabytes on one request.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

import { AuthError } from '../errors.ts'

/** Longest password, bytes of UTF-8. */
const MAX_PASSWORD_BYTES = 1024
/** Longest user, bytes of UTF-8. */
const MAX_USER_BYTES = 255

/** 32 MiB and about 100 ms: OWASP's parameters for scrypt with little memory. */
const LOG_COST = 15
const BLOCK_SIZE = 8
const SALT_BYTES = 16
const HASH_BYTES = 32

/** What a verifier of a peer may cost at most: 128 MiB for the time of one check. */
const MAX_LOG_COST = 17
const MIN_LOG_COST = 14

const FORM = /^\$scrypt\$ln=(\d{1,2}),r=8,p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/

/** Longest credentials that are decoded, characters of base64: the longest user and the longest password. */
const MAX_ENCODED = 2048

/** User and password of a request. */
interface BasicCredentials {
  /** Text before the first colon. */
  readonly user: string
  readonly password: string
}

/** Makes the verifier of a password, with a salt of its own. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, salt, LOG_COST)
  return `$scrypt$ln=${LOG_COST},r=${BLOCK_SIZE},p=1$${plain(salt)}$${plain(hash)}`
}

/** Whether a text is a verifier that this version checks. */
export function isVerifier(text: string): boolean {
  return parse(text) !== undefined
}

/** Whether a password is the one a verifier was made of. Takes as long whatever the password is. */
export async function verifyPassword(password: string, verifier: string): Promise<boolean> {
  const parts = parse(verifier)
  if (parts === undefined) return false
  return timingSafeEqual(await derive(password, parts.salt, parts.logCost), parts.hash)
}

/**
 * Checks what a person has configured.
 *
 * @throws {AuthError} VISITORS_PASSWORD_INVALID; the message repeats neither.
 */
export function checkCredentials(user: string, password: string): void {
  const refuse = (problem: string): never => {
    throw new AuthError('VISITORS_PASSWORD_INVALID', problem)
  }
  if (user.includes(':')) refuse('the user has a colon, at which clients would cut it')
  if (Buffer.byteLength(user) > MAX_USER_BYTES) refuse(`the user is over ${MAX_USER_BYTES} bytes`)
  if (password === '') refuse('the password is empty')
  const bytes = Buffer.byteLength(password)
  if (bytes > MAX_PASSWORD_BYTES) refuse(`the password is over ${MAX_PASSWORD_BYTES} bytes`)
  if (hasControls(user + password)) refuse('there is a control character in the user or password')
}

/**
 * Reads the value of an Authorization header (RFC 7617). Texts are UTF-8, as our challenge demands; nothing
 * in them is percent-decoded, because decoding a URL is the client's task.
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

/** Whether a text has characters that RFC 7617 allows neither in a user nor in a password. */
export function hasControls(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return /[\u0000-\u001f\u007f]/.test(text)
}

function derive(password: string, salt: Buffer, logCost: number): Promise<Buffer> {
  const cost = 2 ** logCost
  // scrypt needs 128 * N * r bytes; Node refuses to exceed maxmem.
  const options = {
    cost,
    blockSize: BLOCK_SIZE,
    parallelization: 1,
    maxmem: 256 * cost * BLOCK_SIZE,
  }
  return new Promise((resolve, reject) => {
    // RFC 7613 section 4.2: one password, however an accent was typed.
    scrypt(password.normalize('NFC'), salt, HASH_BYTES, options, (error, hash) => {
      if (error === null) resolve(hash)
      else reject(error)
    })
  })
}

function parse(text: string): { logCost: number; salt: Buffer; hash: Buffer } | undefined {
  const [, cost = '', salt = '', hash = ''] = FORM.exec(text) ?? []
  const logCost = Number(cost)
  if (cost === '' || logCost < MIN_LOG_COST || logCost > MAX_LOG_COST) return undefined
  return { logCost, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
}

/** Base64 without padding, as in other verifiers of this form. */
function plain(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
