import { EXIT, UserError } from '@proj/program-kit'

import {
  endToken,
  issueToken,
  type MadeToken,
  OPERATOR,
  TokenProblem,
  type TokenProblemCode,
  type TokenWish,
} from '../auth/issue-token.ts'
import type { Store } from '../store/store.ts'
import type { TokenRecord } from '../store/token-store.ts'

/** What an operator can do, in the words of the command line. */
const HINTS: Readonly<Partial<Record<TokenProblemCode, string>>> = {
  'endpoints-missing': "name them, or write --endpoints '*' for all",
  'limit-reached': 'use one token for several agents',
  'token-unknown': 'adit-server token list shows them',
}

/** Problems that are not about the arguments. */
const FAILURES: ReadonlySet<TokenProblemCode> = new Set<TokenProblemCode>([
  'limit-reached',
  'token-unknown',
])

/**
 * Creates a token and stores its hash.
 *
 * @throws {UserError} exit code 2 for arguments that cannot be combined.
 */
export async function makeToken(store: Store, wish: TokenWish): Promise<MadeToken> {
  return await explained(async () => await issueToken(store, wish, OPERATOR))
}

/**
 * Revokes a token.
 *
 * @throws {UserError} exit code 1 when there is none of this id.
 */
export async function revokeToken(store: Store, named: string): Promise<TokenRecord> {
  return await explained(async () => await endToken(store, named, OPERATOR))
}

async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof TokenProblem)) throw error
    const { code, field, message } = error
    const about = code === 'endpoints-missing' ? '--endpoints is missing' : `--${field}: ${message}`
    throw new UserError(field === undefined ? message : about, {
      exitCode: FAILURES.has(code) ? EXIT.failed : EXIT.usage,
      hint: HINTS[code],
    })
  }
}
