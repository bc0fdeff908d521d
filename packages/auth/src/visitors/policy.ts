import { parseAddressBlock } from '@proj/config/address'

import { AuthError } from '../errors.ts'
import { type JwtDemand, jwtVerifierOf, PORTABLE_JWT } from '../jwt/jwt-demand.ts'
import { isVerifier } from './password.ts'

/** Rules for the visitors of an endpoint, as an agent sends them to its server. They hold no secret. */
export interface VisitorPolicy {
  /** Addresses and blocks that are admitted; absent: all. */
  readonly allow?: readonly string[]
  /** Addresses and blocks that are denied, even when allowed. */
  readonly deny?: readonly string[]
  /** Users that are admitted with a password. */
  readonly basicAuth?: readonly BasicAuthUser[]
  /** Tokens that are accepted; beside `basicAuth`, either is enough. */
  readonly jwt?: JwtDemand
}

/** One user with the verifier of the password. */
export interface BasicAuthUser {
  /** Name without a colon. */
  readonly user: string
  /** The text that `hashPassword` returned. */
  readonly verifier: string
}

/** Most entries of an address list. */
export const MAX_BLOCKS = 256
/** Most users of an endpoint: each unknown one costs a check. */
export const MAX_USERS = 64

/** Longest text of a token's demand, characters: a key of RSA with 16384 bits has fewer. */
const MAX_TEXT = 4096

const KNOWN: readonly string[] = ['allow', 'deny', 'basicAuth', 'jwt']

/**
 * Reads the rules that a peer sent. An unknown rule is an error: ignoring a restriction would admit visitors
 * that the owner denies.
 *
 * @throws {AuthError} VISITORS_POLICY_INVALID; the message repeats no value.
 */
export function parsePolicy(value: unknown): VisitorPolicy {
  const fields = asObject(value, 'the rules')
  const strange = Object.keys(fields).find((name) => !KNOWN.includes(name))
  if (strange !== undefined) throw invalid(`a rule ${JSON.stringify(strange)} is not known here`)
  const allow = blocks(fields, 'allow')
  const deny = blocks(fields, 'deny')
  const basicAuth = users(fields['basicAuth'])
  const jwt = tokens(fields['jwt'])
  return {
    ...(allow !== undefined && { allow }),
    ...(deny !== undefined && deny.length > 0 && { deny }),
    ...(basicAuth !== undefined && { basicAuth }),
    ...(jwt !== undefined && { jwt }),
  }
}

function blocks(fields: Record<string, unknown>, name: string): readonly string[] | undefined {
  const value = fields[name]
  if (value === undefined) return undefined
  if (!Array.isArray(value)) throw invalid(`${name} is no list`)
  if (value.length > MAX_BLOCKS) throw invalid(`${name} has over ${MAX_BLOCKS} entries`)
  return value.map((entry: unknown) => {
    try {
      if (typeof entry === 'string') parseAddressBlock(entry)
      else throw new TypeError('no text')
      return entry
    } catch {
      throw invalid(`${name} has an entry that is no address or block`)
    }
  })
}

function users(value: unknown): readonly BasicAuthUser[] | undefined {
  if (value === undefined) return undefined
  if (!Array.isArray(value)) throw invalid('basicAuth is no list')
  // An empty list would deny every visitor; that is a mistake.
  if (value.length === 0) throw invalid('basicAuth is an empty list')
  if (value.length > MAX_USERS) throw invalid(`basicAuth names over ${MAX_USERS} users`)
  const names = new Set<string>()
  return value.map((entry: unknown) => {
    const { user, verifier, ...rest } = asObject(entry, 'a user')
    if (typeof user !== 'string' || user.includes(':') || names.has(user)) {
      throw invalid('basicAuth has a user that is no name or comes twice')
    }
    if (typeof verifier !== 'string' || !isVerifier(verifier) || Object.keys(rest).length > 0) {
      throw invalid('basicAuth has a verifier that is not known here')
    }
    names.add(user)
    return { user, verifier }
  })
}

function tokens(value: unknown): JwtDemand | undefined {
  if (value === undefined) return undefined
  const fields = asObject(value, 'jwt')
  for (const [name, text] of Object.entries(fields)) {
    const isKnown = (PORTABLE_JWT as readonly string[]).includes(name)
    if (!isKnown) throw invalid(`jwt has a member ${JSON.stringify(name)} that is not for others`)
    if (typeof text !== 'string' || text.length > MAX_TEXT) throw invalid(`jwt.${name} is no text`)
  }
  try {
    jwtVerifierOf(fields)
  } catch (error) {
    throw invalid(error instanceof Error ? `jwt: ${error.message}` : 'jwt has a bad key')
  }
  return fields
}

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`${what} must be an object`)
  }
  return value as Record<string, unknown> // checked just above
}

function invalid(message: string): AuthError {
  return new AuthError('VISITORS_POLICY_INVALID', message)
}
