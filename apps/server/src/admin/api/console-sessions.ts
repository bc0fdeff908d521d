/**
 * Signed-in pages of the console. A session has two halves, and a request needs both: a cookie that no script can
 * read, and a proof that the page keeps in its own storage and sends as a header. Browsers send cookies to every
 * port of a host, so a service that is reached by the host name of the admin port gets the cookie; it never gets the
 * proof, and a page of another site can send neither.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

import { hashToken } from '@proj/auth'

/** Header with the proof. */
const PROOF_HEADER = 'adit-session'

/** Bytes of each half, before they are written in base64url. */
const SECRET_BYTES = 32

/** Cookies of the name that are looked at: a service of the same host may set further ones. */
const MAX_COOKIES = 8

/** Limits of sessions. */
export const SESSION_LIMITS: {
  readonly max: number
  readonly maxOfToken: number
  readonly lifeMs: number
  readonly idleMs: number
} = Object.freeze({
  /** Sessions at once; beyond it the oldest ends. */
  max: 1_000,
  /** Sessions of one token, key or person at once, likewise: a script that only signs in does not end those of others. */
  maxOfToken: 100,
  /** A session ends after this, ms. */
  lifeMs: 12 * 3_600_000,
  /** And when it has not been used for this, ms. */
  idleMs: 2 * 3_600_000,
})

/** What a session stands for. */
export type SessionCredentials =
  /** Credentials that are judged with each request, as if the request had them. */
  | { readonly token: string }
  /** Somebody whom a provider has signed in. */
  | { readonly identity: string }

interface Session {
  readonly proof: Buffer
  readonly credentials: SessionCredentials
  readonly endsAt: number
  usedAt: number
}

/** A session that has just begun. */
export interface NewSession {
  /** Value of the header `set-cookie`. */
  readonly cookie: string
  readonly proof: string
  /** When it ends, ms since the epoch. */
  readonly endsAt: number
}

/** The sessions of one admin port. They end with the process. */
export class ConsoleSessions {
  readonly #limits: typeof SESSION_LIMITS
  readonly #now: () => number
  /** By the hash of the cookie, oldest first. */
  readonly #sessions = new Map<string, Session>()

  constructor(limits: Partial<typeof SESSION_LIMITS> = {}, now: () => number = Date.now) {
    this.#limits = { ...SESSION_LIMITS, ...limits }
    this.#now = now
  }

  /** Sessions that have not been found to be over. */
  get size(): number {
    return this.#sessions.size
  }

  /**
   * Begins a session.
   *
   * @param credentials - that were found to be good.
   * @param port - of the server: cookies do not know it, and two servers of one host need two.
   * @param isSecure - whether the page was read over TLS.
   */
  begin(credentials: SessionCredentials, port: number, isSecure: boolean): NewSession {
    const now = this.#now()
    const own: string[] = []
    for (const [key, session] of this.#sessions) {
      if (this.#isOver(session, now)) this.#end(key)
      else if (isSame(session.credentials, credentials)) own.push(key)
    }
    const tooMany = Math.max(0, own.length + 1 - this.#limits.maxOfToken)
    for (const key of own.slice(0, tooMany)) this.#end(key)
    for (const key of this.#sessions.keys()) {
      if (this.#sessions.size < this.#limits.max) break
      this.#end(key)
    }
    const [secret, proof] = [randomBytes(SECRET_BYTES), randomBytes(SECRET_BYTES)]
    const endsAt = now + this.#limits.lifeMs
    const name = secret.toString('base64url')
    this.#sessions.set(keyOf(name), {
      proof: hashToken(proof.toString('base64url')),
      credentials,
      endsAt,
      usedAt: now,
    })
    // Without a path it is for the API alone, also below the prefix of a proxy (RFC 6265 section 5.1.4).
    const life = Math.floor(this.#limits.lifeMs / 1_000)
    const cookie = `${cookieName(port)}=${name}; HttpOnly; SameSite=Strict; Max-Age=${life}`
    return {
      cookie: isSecure ? `${cookie}; Secure` : cookie,
      proof: proof.toString('base64url'),
      endsAt,
    }
  }

  /** The credentials of the session that a request has both halves of. */
  find(
    headers: IncomingHttpHeaders,
    port: number,
  ): { credentials: SessionCredentials; endsAt: number } | undefined {
    const key = this.#keyOf(headers, port)
    const session = key === undefined ? undefined : this.#sessions.get(key)
    if (session === undefined) return undefined
    session.usedAt = this.#now()
    return session
  }

  /** Ends the session of a request. @returns the value of `set-cookie` that removes the cookie. */
  endOf(headers: IncomingHttpHeaders, port: number): string {
    const key = this.#keyOf(headers, port)
    if (key !== undefined) this.#end(key)
    return `${cookieName(port)}=; HttpOnly; SameSite=Strict; Max-Age=0`
  }

  #keyOf({ cookie, [PROOF_HEADER]: proof }: IncomingHttpHeaders, port: number): string | undefined {
    if (cookie === undefined || typeof proof !== 'string') return undefined
    const now = this.#now()
    const prefix = `${cookieName(port)}=`
    const values = cookie.split(/;\s*/).filter((one) => one.startsWith(prefix))
    for (const value of values.slice(0, MAX_COOKIES)) {
      const key = keyOf(value.slice(prefix.length))
      const session = this.#sessions.get(key)
      if (session === undefined || !timingSafeEqual(session.proof, hashToken(proof))) continue
      if (!this.#isOver(session, now)) return key
      this.#end(key)
    }
    return undefined
  }

  #isOver({ endsAt, usedAt }: Session, now: number): boolean {
    return now >= endsAt || now - usedAt >= this.#limits.idleMs
  }

  #end(key: string): void {
    this.#sessions.delete(key)
  }
}

function isSame(one: SessionCredentials, other: SessionCredentials): boolean {
  return 'token' in one
    ? 'token' in other && one.token === other.token
    : 'identity' in other && one.identity === other.identity
}

function cookieName(port: number): string {
  return `adit-console-${port}`
}

function keyOf(name: string): string {
  return hashToken(name).toString('base64url')
}
