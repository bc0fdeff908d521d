import { open } from 'node:fs/promises'

import { createLocalJWKSet, errors, importJWK, type JWK } from 'jose'

import { AuthError } from '../errors.ts'
import type { VerificationKey } from './static-keys.ts'

/** Where a key set is and how long it is good for. */
export interface KeySetOptions {
  /** `http:`, `https:` or `file:` URL of a JSON Web Key Set, without credentials. */
  readonly endpoint: string
  /** Time after which it is read again when it is next needed, ms. Default 3 600 000: one hour. */
  readonly cacheTtlMs?: number
  /** Time that reading may take, ms. Default 10 000. */
  readonly timeoutMs?: number
  /** Called with the error when reading failed; the keys read before stay in use. Default: nothing is called. */
  readonly onError?: (error: Error) => void
  /** Milliseconds that only ever grow, for ages. Default: `performance.now`. */
  readonly now?: () => number
}

/** Largest key set that is read, bytes; real ones have a few thousand. */
export const MAX_KEY_SET_BYTES: number = 256 * 1024

/** Keys that a set may have; the keys after these are ignored. */
export const MAX_KEYS = 1000

/** Least time between two reads for unknown keys, ms: every peer can send a token that names one. */
export const UNKNOWN_KEY_MS: number = 5 * 60_000

/** Least time from a failed read to the next, ms: not every handshake may cause one. */
export const RETRY_MS = 10_000

/** Redirects that are followed to a key set. */
const MAX_REDIRECTS = 5

/** Statuses of redirects (RFC 9110 section 15.4). */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Finds the key of a token in a set that was read; undefined when there is none. */
type FindKey = (kid: string, algorithm: string) => Promise<VerificationKey | undefined>

/**
 * A JSON Web Key Set that is read when it is needed, kept, and read again when it is old or lacks a
 * key. When it cannot be read again, the last one stays in use. jose chooses the key; reading is ours,
 * because jose's remote sets bound neither the size nor the number of keys, take no files, and verify
 * nothing while the set cannot be read.
 */
export class KeySet {
  readonly #url: URL
  readonly #options: Required<Omit<KeySetOptions, 'endpoint'>>
  #find: FindKey | undefined
  #readAt = -Infinity
  #failedAt = -Infinity
  #unknownAt = -Infinity
  #reading: Promise<void> | undefined

  /** @throws {AuthError} IDENTITY_KEY_INVALID when the endpoint is none; the text does not repeat it. */
  constructor(options: KeySetOptions) {
    this.#url = checkedUrl(options.endpoint)
    this.#options = {
      cacheTtlMs: options.cacheTtlMs ?? 3_600_000,
      timeoutMs: options.timeoutMs ?? 10_000,
      onError: options.onError ?? (() => {}),
      now: options.now ?? (() => performance.now()),
    }
  }

  /** Reads the set. @returns whether keys are available now; a failure goes to `onError`. */
  async prepare(): Promise<boolean> {
    await this.#read()
    return this.#find !== undefined
  }

  /**
   * Finds the key of a token.
   *
   * @param kid - its name
   * @param algorithm - what the token says it is signed with; a key of another kind does not match
   * @returns undefined when the set has no such key.
   * @throws {AuthError} IDENTITY_KEYS_UNAVAILABLE when the set could never be read.
   */
  async find(kid: string, algorithm: string): Promise<VerificationKey | undefined> {
    const { now, cacheTtlMs } = this.#options
    const isOld = now() - this.#readAt >= cacheTtlMs
    if (isOld && now() - this.#failedAt >= RETRY_MS) await this.#read()
    else if (this.#find === undefined) await this.#reading
    if (this.#find === undefined) throw new AuthError('IDENTITY_KEYS_UNAVAILABLE')
    const found = await this.#find(kid, algorithm)
    if (found !== undefined) return found
    if (now() - this.#unknownAt >= UNKNOWN_KEY_MS) {
      this.#unknownAt = now()
      await this.#read()
    } else await this.#reading
    return await this.#find(kid, algorithm)
  }

  /** Reads the set, once for all callers that wait for it; never rejects. */
  #read(): Promise<void> {
    this.#reading ??= this.#readNow().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #readNow(): Promise<void> {
    const { now, timeoutMs, onError } = this.#options
    try {
      const text = await readBounded(this.#url, AbortSignal.timeout(timeoutMs))
      this.#find = finderOf(text)
      this.#readAt = now()
    } catch (error) {
      this.#failedAt = now()
      onError(new Error(`the key set could not be read: ${reasonOf(error)}`))
    }
  }
}

function checkedUrl(endpoint: string): URL {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  const problem =
    url === undefined || !['http:', 'https:', 'file:'].includes(url.protocol)
      ? 'the key set is no URL that begins with http:, https: or file:'
      : url.username !== '' || url.password !== ''
        ? 'the URL of the key set holds a user name or password'
        : undefined
  if (url === undefined || problem !== undefined) {
    throw new AuthError('IDENTITY_KEY_INVALID', problem)
  }
  return url
}

/**
 * Reads a text from an `http:`, `https:` or `file:` URL, within a size.
 *
 * @throws {Error} when it cannot be read, is larger than {@link MAX_KEY_SET_BYTES}, or came by http
 *   although https was asked for.
 */
async function readBounded(url: URL, signal: AbortSignal): Promise<string> {
  return url.protocol === 'file:' ? await readFile(url, signal) : await readHttp(url, signal)
}

async function readHttp(url: URL, signal: AbortSignal): Promise<string> {
  const response = await requested(url, signal)
  try {
    if (response.status !== 200) throw new Error(`it was answered with status ${response.status}`)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > MAX_KEY_SET_BYTES) throw tooLarge()
      chunks.push(chunk)
    }
    return Buffer.concat(chunks).toString()
  } finally {
    await response.body?.cancel().catch(() => {}) // it was read to the end already
  }
}

/** The answer behind redirects, each of which is looked at. */
async function requested(url: URL, signal: AbortSignal): Promise<Response> {
  let at = url
  for (let followed = 0; followed <= MAX_REDIRECTS; followed++) {
    const headers = { accept: 'application/json' }
    const response = await fetch(at, { signal, headers, redirect: 'manual' })
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null
    if (location === null) return response
    await response.body?.cancel()
    if (!URL.canParse(location, at.href)) throw new Error('it was redirected to no URL')
    at = new URL(location, at.href)
    // Keys that are asked for over TLS must not come from a machine on the path, nor from where it leads.
    if (url.protocol === 'https:' && at.protocol !== 'https:') {
      throw new Error('it was redirected from https to http')
    }
    if (at.protocol !== 'https:' && at.protocol !== 'http:') {
      throw new Error('it was redirected to something that is neither http nor https')
    }
  }
  throw new Error(`it was redirected more than ${MAX_REDIRECTS} times`)
}

async function readFile(url: URL, signal: AbortSignal): Promise<string> {
  const file = await open(url)
  try {
    const { size } = await file.stat()
    if (size > MAX_KEY_SET_BYTES) throw tooLarge()
    return await file.readFile({ encoding: 'utf8', signal })
  } finally {
    await file.close()
  }
}

function tooLarge(): Error {
  return new Error(`it is larger than ${MAX_KEY_SET_BYTES} bytes`)
}

function finderOf(text: string): FindKey {
  const set: unknown = JSON.parse(text)
  const list: unknown = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : set
  if (!Array.isArray(list)) throw new Error('it is no key set: it has no list "keys"')
  const keys = list.slice(0, MAX_KEYS).filter((jwk: unknown): jwk is JWK => {
    return typeof jwk === 'object' && jwk !== null && !Array.isArray(jwk)
  })
  const findPublic = createLocalJWKSet({ keys: keys.filter(({ kty }) => kty !== 'oct') })
  const secrets = keys.filter(({ kty }) => kty === 'oct')
  return async (kid, alg) => {
    try {
      return alg.startsWith('HS')
        ? await findSecret(secrets, kid, alg)
        : await findPublic({ alg, kid })
    } catch (error) {
      // Two keys of one name: the first that can be used.
      if (error instanceof errors.JWKSMultipleMatchingKeys) {
        for await (const key of error) return key
      }
      // What a set says of a key may be nonsense; such a key verifies nothing.
      return undefined
    }
  }
}

/** jose chooses among public keys alone; secrets in a set are Piko's. */
async function findSecret(
  secrets: readonly JWK[],
  kid: string,
  algorithm: string,
): Promise<VerificationKey | undefined> {
  const found = secrets.find(
    ({ kid: name, alg = algorithm, use = 'sig' }) =>
      name === kid && alg === algorithm && use === 'sig',
  )
  return found && (await importJWK(found, algorithm))
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof SyntaxError) return 'it is no JSON'
  // The message of fetch is always "fetch failed"; its cause has the reason.
  return error.cause instanceof Error ? error.cause.message : error.message
}
