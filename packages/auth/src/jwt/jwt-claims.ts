/**
 * What the claims of a verified JWT give. Piko's claim `{"piko":{"endpoints":["a"]}}` names endpoints
 * exactly; without it, or with an empty list, a token is good for all, to listen and to connect, and
 * on an admin port. Ours, `{"adit":{"may":["listen"],"endpoints":["pc*"],"tenant":"t"}}`, says what
 * for, and gives nothing it does not name. Where both are there, both must allow.
 */
import { MAX_PATTERNS, patternProblem } from '../rights/endpoint-patterns.ts'
import { AuthError } from '../errors.ts'
import { type Right, RIGHTS, type Scope } from '../rights/scope.ts'

/** Longest subject, characters: identities stand in logs, lists and stores. */
const MAX_SUBJECT = 200

/** Who a JWT is and what it may do. */
export interface JwtRights {
  /** `jwt:<sub>`; without our claim, or without a subject, `jwt`: Piko's tokens are all one. */
  readonly identity: string
  /** What it may do. */
  readonly scope: Scope
  /** Tenant it was made for, where our claim names one. */
  readonly tenant?: string
}

/**
 * Reads the rights out of verified claims.
 *
 * @throws {AuthError} IDENTITY_TOKEN_INVALID when a claim has another shape than it should.
 */
export function jwtRights(claims: Readonly<Record<string, unknown>>): JwtRights {
  const names = pikoEndpoints(claims['piko'])
  const own = claims['adit']
  if (own === undefined) {
    const all = { may: new Set(RIGHTS) }
    return { identity: 'jwt', scope: names === undefined ? all : { ...all, names } }
  }
  if (!isObject(own)) throw invalid('the claim adit is no object')
  const { may, endpoints, tenant } = own
  if (!isTexts(may)) throw invalid('adit.may is no list of words')
  const scope: Scope = {
    // A word of a later version gives nothing here.
    may: new Set(may.filter(isRight)),
    ...(endpoints !== undefined && { patterns: patternsOf(endpoints) }),
    ...(names !== undefined && { names }),
  }
  const identity = identityOf(claims['sub'])
  if (tenant === undefined) return { identity, scope }
  if (typeof tenant !== 'string') throw invalid('adit.tenant is no text')
  const problem = tenant === '' ? undefined : patternProblem(tenant)
  if (problem !== undefined) throw invalid(`adit.tenant ${problem}`)
  return { identity, scope, tenant }
}

function pikoEndpoints(claim: unknown): ReadonlySet<string> | undefined {
  if (claim === undefined || claim === null) return undefined
  if (!isObject(claim)) throw invalid('the claim piko is no object')
  const { endpoints } = claim
  if (endpoints === undefined || endpoints === null) return undefined
  if (!isTexts(endpoints)) throw invalid('piko.endpoints is no list of names')
  return endpoints.length === 0 ? undefined : new Set(endpoints)
}

function patternsOf(endpoints: unknown): readonly string[] {
  if (!isTexts(endpoints)) throw invalid('adit.endpoints is no list of patterns')
  if (endpoints.length > MAX_PATTERNS) throw invalid(`adit.endpoints has over ${MAX_PATTERNS}`)
  for (const pattern of endpoints) {
    const problem = patternProblem(pattern)
    if (problem !== undefined) throw invalid(`a pattern of adit.endpoints ${problem}`)
  }
  return endpoints
}

function identityOf(subject: unknown): string {
  if (subject === undefined || subject === '') return 'jwt'
  if (typeof subject !== 'string' || subject.length > MAX_SUBJECT) {
    throw invalid(`sub is no text of at most ${MAX_SUBJECT} characters`)
  }
  // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
  if (/[\u0000-\u001f\u007f]/.test(subject)) throw invalid('sub has control characters')
  return `jwt:${subject}`
}

function isRight(word: string): word is Right {
  return (RIGHTS as readonly string[]).includes(word)
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(detail: string): AuthError {
  return new AuthError('IDENTITY_TOKEN_INVALID', detail)
}
