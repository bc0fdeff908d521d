import { createHash } from 'node:crypto'

import { AddressList } from '@proj/config/address'

import { isAuthError } from '../errors.ts'
import type { JwtVerifier } from '../jwt/jwt-verifier.ts'
import { scopePermits } from '../rights/scope.ts'

import { parseBasic } from './password.ts'
import type { SourceLimiter } from '../limits/source-limiter.ts'
import { jwtVerifierOf } from '../jwt/jwt-demand.ts'
import type { PasswordChecks } from './password-checks.ts'
import type { VisitorPolicy } from './policy.ts'
import { type Decision, type DenialCode, deny, type VisitorRequest } from './decision.ts'

/** What the gates of a process share. */
export interface GateParts {
  /** Checks passwords; shared by all gates, because it bounds the checks that run at once. */
  readonly checks: PasswordChecks
  /** Bounds the failures of a source. */
  readonly failures: SourceLimiter
}

/** When to ask again after a check that could not be made, ms. */
const BUSY_RETRY_MS = 1000

/** Verifier for unknown users, so that they take as long as known ones; no password has this hash. */
const UNKNOWN_USER = `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`

/** Applies one policy to requests and connections. */
export class Gate {
  /** Equal policies have equal names. */
  readonly id: string
  /** Whether only an HTTP request can be admitted. */
  readonly needsHttp: boolean
  readonly #parts: GateParts
  readonly #addresses: AddressList | undefined
  readonly #users: ReadonlyMap<string, string> | undefined
  readonly #tokens: JwtVerifier | undefined

  /**
   * @param policy - made by `policyOf`, or checked by `parsePolicy`.
   * @throws {AuthError} IDENTITY_KEY_INVALID for a key that cannot be used.
   */
  constructor(policy: VisitorPolicy, parts: GateParts) {
    const { allow, deny, basicAuth, jwt } = policy
    this.id = policyId(policy)
    this.needsHttp = basicAuth !== undefined || jwt !== undefined
    this.#tokens = jwt && jwtVerifierOf(jwt)
    this.#parts = parts
    this.#addresses =
      allow === undefined && deny === undefined ? undefined : new AddressList({ allow, deny })
    this.#users =
      basicAuth && new Map(basicAuth.map(({ user, verifier }) => [user.normalize('NFC'), verifier]))
  }

  /** What it asks visitors for, for people: `addresses`, `passwords`, `tokens`. */
  get kinds(): readonly string[] {
    return [
      ...(this.#addresses === undefined ? [] : ['addresses']),
      ...(this.#users === undefined ? [] : ['passwords']),
      ...(this.#tokens === undefined ? [] : ['tokens']),
    ]
  }

  /** Whether a connection without HTTP is admitted. */
  admitsConnection(address: string | undefined): boolean {
    return !this.needsHttp && this.#admitsAddress(address)
  }

  /** Judges one request; at once, unless a password has to be checked. */
  judge(request: VisitorRequest): Decision | Promise<Decision> {
    if (!this.#admitsAddress(request.address)) return deny('address_denied')
    if (!this.needsHttp) return { admitted: true, consumed: false }
    const [authorization, second] = authorizations(request.headers)
    if (second !== undefined) return deny('authorization_repeated')
    if (authorization === undefined) return this.#challenge('credentials_missing', request)
    if (this.#tokens !== undefined && /^bearer /i.test(authorization)) {
      return this.#checkToken(this.#tokens, authorization, request)
    }
    const credentials = this.#users && parseBasic(authorization)
    if (credentials === undefined) return this.#challenge('credentials_wrong', request)
    const verifier = this.#users?.get(credentials.user) ?? UNKNOWN_USER
    const { password } = credentials
    if (this.#parts.checks.remembers(password, verifier)) return { admitted: true, consumed: true }
    return this.#checkPassword(password, verifier, request)
  }

  async #checkToken(
    tokens: JwtVerifier,
    authorization: string,
    request: VisitorRequest,
  ): Promise<Decision> {
    const { failures } = this.#parts
    const source = request.address ?? ''
    const denial = this.#countAttempt(source)
    if (denial !== undefined) return denial
    try {
      const { scope } = await tokens.verify(authorization.slice(authorization.indexOf(' ') + 1))
      failures.giveBack(source)
      const isMeant = scopePermits(scope, 'connect', request.endpoint)
      return isMeant
        ? { admitted: true, consumed: true }
        : this.#challenge('token_not_permitted', request)
    } catch (error) {
      if (!isAuthError(error)) throw error
      if (error.retryable) {
        failures.giveBack(source)
        return deny('token_keys_unavailable', { retryAfterMs: BUSY_RETRY_MS })
      }
      const isExpired = error.code === 'IDENTITY_TOKEN_EXPIRED'
      return this.#challenge(isExpired ? 'token_expired' : 'token_invalid', request)
    }
  }

  /** Counts an attempt. @returns the denial when the source has failed too often. */
  #countAttempt(source: string): Decision | undefined {
    const waitMs = this.#parts.failures.tryTake(source)
    if (waitMs === 0) return undefined
    return deny('too_many_failures', { retryAfterMs: waitMs })
  }

  #checkPassword(
    password: string,
    verifier: string,
    request: VisitorRequest,
  ): Decision | Promise<Decision> {
    const { checks, failures } = this.#parts
    const source = request.address ?? ''
    const denial = this.#countAttempt(source)
    if (denial !== undefined) return denial
    const check = checks.check(password, verifier)
    if (check === undefined) {
      failures.giveBack(source)
      return deny('checks_busy', { retryAfterMs: BUSY_RETRY_MS })
    }
    return check.then((isGood) => {
      if (!isGood) return this.#challenge('credentials_wrong', request)
      failures.giveBack(source)
      return { admitted: true, consumed: true }
    })
  }

  #admitsAddress(address: string | undefined): boolean {
    return this.#addresses === undefined || this.#addresses.admits(address)
  }

  #challenge(code: DenialCode, request: VisitorRequest): Decision {
    const plain = request.endpoint.replaceAll(/[^\u0020-\u007e]/g, '?')
    const realm = `realm="${plain.replaceAll(/["\\]/g, '\\$&')}"`
    const challenges: string[] = []
    if (this.#users !== undefined) challenges.push(`Basic ${realm}, charset="UTF-8"`)
    if (this.#tokens !== undefined) challenges.push(`Bearer ${realm}`)
    return deny(code, { challenges })
  }
}

/** Judges a request by several gates, in order: each of them must admit it. */
export function judgeAll(
  gates: readonly Gate[],
  request: VisitorRequest,
): Decision | Promise<Decision> {
  let consumed = false
  for (const [index, gate] of gates.entries()) {
    const decision = gate.judge(request)
    if (decision instanceof Promise) {
      const rest = gates.slice(index + 1)
      return decision.then(async (first) => {
        if (!first.admitted) return first
        const others = await judgeAll(rest, request)
        return others.admitted
          ? { admitted: true, consumed: consumed || first.consumed || others.consumed }
          : others
      })
    }
    if (!decision.admitted) return decision
    consumed ||= decision.consumed
  }
  return { admitted: true, consumed }
}

function policyId({ allow, deny, basicAuth, jwt }: VisitorPolicy): string {
  const users = basicAuth?.map(({ user, verifier }) => [user, verifier])
  return createHash('sha256')
    .update(JSON.stringify([allow, deny, users, jwt]))
    .digest('base64')
}

/** Values of Authorization; of two, another parser could take either. */
function authorizations(headers: readonly string[]): string[] {
  const found: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    if (name.length === 13 && name.toLowerCase() === 'authorization') {
      found.push(headers[at + 1] ?? '')
    }
  }
  return found
}
