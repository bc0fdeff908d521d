/** Creating, changing and revoking tokens, for the command line and the API. Each change is in the audit log. */
import { createToken, hashToken, MAX_PATTERNS, patternProblem, type Right } from '@proj/auth'

import type { Store } from '../store/store.ts'
import type { TokenRecord, TokenScope } from '../store/token-store.ts'

/** Who makes a change, for the audit log. */
export interface Actor {
  /** `operator` for a command on the store; over the API the identity of its credentials. */
  readonly by: string
  /** Where the request came from; a command has none. */
  readonly remoteAddress?: string | undefined
}

/** A command on the store: who runs it can read and write the file. */
export const OPERATOR: Actor = { by: 'operator' }

/** What a token is to be. */
export interface TokenWish {
  readonly endpoints: readonly string[]
  readonly may: readonly Right[]
  /** From now, ms; `Infinity`: it never expires. */
  readonly expiresMs: number
  /** Empty: no tenant. */
  readonly tenant: string
  /** May be empty. */
  readonly name: string
  /** Id of the token it follows. */
  readonly replaces: string | undefined
}

/** A token that was just created, with its text, which is stored nowhere. */
export interface MadeToken {
  readonly text: string
  /** What is stored. */
  readonly record: Omit<TokenRecord, 'revokedAt' | 'lastUsedAt'>
}

/** Why a token was not created, changed or revoked. */
export type TokenProblemCode =
  | 'endpoints-missing'
  | 'field-invalid'
  | 'limit-reached'
  | 'not-as-seen'
  | 'tenant-differs'
  | 'token-revoked'
  | 'token-unknown'

/** A wish that cannot be fulfilled; nothing has changed. */
export class TokenProblem extends Error {
  override readonly name = 'TokenProblem'
  readonly code: TokenProblemCode
  /** The field of the wish that it is about. */
  readonly field: keyof TokenWish | undefined

  constructor(code: TokenProblemCode, message: string, field?: keyof TokenWish) {
    super(message)
    this.code = code
    this.field = field
  }
}

/** A character that no token contains, so that `adit_<id>_…` and `token:<id>` are understood, too. */
const AROUND_ID = /^(?:token:|adit_)|_.*$/g

/** How often a new id is drawn when one is taken. With 2^40 ids a second draw is already unlikely. */
const MAX_DRAWS = 3

/**
 * Creates a token and stores its hash.
 *
 * @throws {TokenProblem} endpoints-missing, field-invalid, limit-reached, tenant-differs, token-unknown.
 */
export async function issueToken(store: Store, wish: TokenWish, actor: Actor): Promise<MadeToken> {
  const { endpoints, may, expiresMs, replaces } = wish
  checkScope({ endpoints, rights: may })
  const before = replaces === undefined ? undefined : findToken(store, replaces)
  const tenant = before?.tenant ?? wish.tenant
  if (before !== undefined && wish.tenant !== '' && wish.tenant !== tenant) {
    const message = `${before.id} belongs to tenant ${JSON.stringify(tenant)}`
    throw new TokenProblem('tenant-differs', message, 'tenant')
  }
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const { id, text } = createToken()
    const createdAt = Date.now()
    const record = {
      id,
      hash: hashToken(text).toString('hex'),
      identity: before?.identity ?? `token:${id}`,
      name: wish.name === '' ? (before?.name ?? '') : wish.name,
      tenant,
      rights: may,
      endpoints,
      createdAt,
      expiresAt: expiresMs === Infinity ? undefined : createdAt + expiresMs,
    }
    const refusal = await store.tokens.create(record)
    if (refusal === 'limit-reached') {
      throw new TokenProblem('limit-reached', 'the store has the most tokens that it can hold')
    }
    if (refusal === undefined) {
      const { identity, name } = record
      const fields = { token: id, identity, tenant, name, may: may.join(' ') }
      store.audit.write('token.created', { ...fields, ...actor })
      return { text, record }
    }
  }
  throw new Error(`no free id within ${MAX_DRAWS} draws`)
}

/**
 * Changes what a token allows. Its sessions end, and its peers connect again with the new rights.
 *
 * @param isAsSeen - judges the token as it is right before the change.
 * @throws {TokenProblem} endpoints-missing, field-invalid, not-as-seen, token-revoked, token-unknown.
 */
export async function rescopeToken(
  store: Store,
  id: string,
  {
    scope,
    isAsSeen,
    actor,
  }: {
    readonly scope: Partial<TokenScope>
    readonly isAsSeen: (token: TokenRecord) => boolean
    readonly actor: Actor
  },
): Promise<TokenRecord> {
  const outcome = await store.tokens.rescope(id, (token) => {
    if (!isAsSeen(token)) return undefined
    const { name, rights, endpoints } = token
    const next = { name, rights, endpoints, ...scope }
    checkScope(next)
    return next
  })
  if (outcome.ok) {
    const { token } = outcome
    store.audit.write('token.changed', {
      token: id,
      identity: token.identity,
      tenant: token.tenant,
      name: token.name,
      may: token.rights.join(' '),
      endpoints: token.endpoints.join(' '),
      ...actor,
    })
    return token
  }
  if (outcome.code === 'unknown') throw unknownToken(store)
  if (outcome.code === 'revoked') throw new TokenProblem('token-revoked', 'the token was revoked')
  throw changedMeanwhile()
}

/**
 * Revokes a token, once.
 *
 * @param isAsSeen - judges the token as it is right before the change. Default: it may be any.
 * @returns the token as it is now.
 * @throws {TokenProblem} not-as-seen, token-unknown.
 */
export async function endToken(
  store: Store,
  named: string,
  actor: Actor,
  isAsSeen?: (token: TokenRecord) => boolean,
): Promise<TokenRecord> {
  const { id } = findToken(store, named)
  const outcome = await store.tokens.revoke(id, Date.now(), isAsSeen)
  if (outcome.ok) {
    const { identity, tenant, name } = outcome.token
    store.audit.write('token.revoked', { token: id, identity, tenant, name, ...actor })
    return outcome.token
  }
  if (outcome.code === 'unknown') throw unknownToken(store)
  if (outcome.code === 'not-as-seen') throw changedMeanwhile()
  return findToken(store, id)
}

/**
 * The token of an id, which may be in the form of the identity or of the token.
 *
 * @throws {TokenProblem} token-unknown.
 */
function findToken(store: Store, named: string): TokenRecord {
  const token = store.tokens.find(named.replaceAll(AROUND_ID, ''))
  if (token !== undefined) return token
  throw unknownToken(store)
}

/** The id is not repeated as it was given: it may be a whole token. */
function unknownToken({ file }: Store): TokenProblem {
  return new TokenProblem('token-unknown', `there is no token of that id in ${file ?? 'memory'}`)
}

function changedMeanwhile(): TokenProblem {
  return new TokenProblem('not-as-seen', 'the token was changed meanwhile')
}

function checkScope({ endpoints, rights }: Pick<TokenScope, 'endpoints' | 'rights'>): void {
  if (endpoints.length > MAX_PATTERNS) {
    const message = `more than ${MAX_PATTERNS} patterns`
    throw new TokenProblem('field-invalid', message, 'endpoints')
  }
  for (const pattern of endpoints) {
    const problem = patternProblem(pattern)
    if (problem === undefined) continue
    throw new TokenProblem('field-invalid', `${JSON.stringify(pattern)} ${problem}`, 'endpoints')
  }
  if (endpoints.length === 0 && rights.some((right) => right !== 'admin')) {
    throw new TokenProblem('endpoints-missing', 'endpoints are missing', 'endpoints')
  }
}
