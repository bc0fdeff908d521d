import { EXIT, UserError } from '@proj/program-kit'
import { createToken, hashToken, patternProblem, type Right } from '@proj/auth'

import type { Store } from '../store/store.ts'
import type { TokenRecord } from '../store/token-store.ts'

/** Arguments and flags of `token create`. */
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

/** A character that no token contains, so that `adit_<id>_…` and `token:<id>` are understood, too. */
const AROUND_ID = /^(?:token:|adit_)|_.*$/g

/** How often a new id is drawn when one is taken. With 2^40 ids a second draw is already unlikely. */
const MAX_DRAWS = 3

/**
 * Creates a token and stores its hash.
 *
 * @throws {UserError} exit code 2 for arguments that cannot be combined.
 */
export async function makeToken(store: Store, wish: TokenWish): Promise<MadeToken> {
  const { endpoints, may, expiresMs, replaces } = wish
  for (const pattern of endpoints) {
    const problem = patternProblem(pattern)
    if (problem !== undefined) throw usage(`--endpoints: ${JSON.stringify(pattern)} ${problem}`)
  }
  if (endpoints.length === 0 && may.some((right) => right !== 'admin')) {
    throw usage('--endpoints is missing', "name them, or write --endpoints '*' for all")
  }
  const before = replaces === undefined ? undefined : existing(store, replaces)
  const tenant = before?.tenant ?? wish.tenant
  if (before !== undefined && wish.tenant !== '' && wish.tenant !== tenant) {
    throw usage(`--tenant: ${before.id} belongs to tenant ${JSON.stringify(tenant)}`)
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
      throw new UserError('the store has the most tokens that it can hold', {
        exitCode: EXIT.failed,
        hint: 'use one token for several agents',
      })
    }
    if (refusal === undefined) {
      const { identity, name } = record
      store.audit.write('token.created', { token: id, identity, tenant, name, may: may.join(' ') })
      return { text, record }
    }
  }
  throw new Error(`no free id within ${MAX_DRAWS} draws`)
}

/**
 * Revokes a token.
 *
 * @throws {UserError} exit code 1 when there is none of this id.
 */
export async function revokeToken(store: Store, named: string): Promise<TokenRecord> {
  const token = existing(store, named)
  if (await store.tokens.revoke(token.id, Date.now())) {
    const { id, identity, tenant, name } = token
    store.audit.write('token.revoked', { token: id, identity, tenant, name })
  }
  return token
}

function existing(store: Store, named: string): TokenRecord {
  const id = named.replaceAll(AROUND_ID, '')
  const token = store.tokens.find(id)
  if (token !== undefined) return token
  // Not repeated as it was given: it may be a whole token.
  throw new UserError(`there is no token of that id in ${store.file}`, {
    exitCode: EXIT.failed,
    hint: 'adit-server token list shows them',
  })
}

function usage(message: string, hint?: string): UserError {
  return new UserError(message, { exitCode: EXIT.usage, hint })
}
