/**
 * The rules for visitors as people write them: the same keys at an agent's listener and in an operator's
 * list of endpoints.
 */
import {
  addressBlock,
  list,
  type ObjectList,
  objects,
  type Resolved,
  type RuleProblem,
  type Secret,
  secret,
  setting,
  type Setting,
  text,
} from '@proj/config'
import { type AddressBlock, formatAddressBlock } from '@proj/config/address'

import { isAuthError } from '../errors.ts'
import {
  emptyJwtKeys,
  firstJwtKey,
  jwtDemand,
  JWT_SETTINGS,
  jwtProblems,
  type JwtSettings,
} from '../jwt/jwt-settings.ts'
import { checkCredentials, hashPassword } from './password.ts'
import { MAX_USERS, type VisitorPolicy } from './policy.ts'

/** Settings of an endpoint's visitors, to be put into a group `visitors`. */
export const VISITOR_SETTINGS: {
  /** Who may visit; undefined: all addresses. */
  readonly allow: Setting<readonly AddressBlock[] | undefined>
  readonly deny: Setting<readonly AddressBlock[]>
  /** Who may visit with a password; empty: a password is not asked for. */
  readonly basicAuth: ObjectList<{
    readonly user: Setting<string>
    readonly password: Setting<Secret>
  }>
  /** Tokens that let an HTTP visitor in. */
  readonly jwt: typeof JWT_SETTINGS
} = {
  allow: setting(list(addressBlock()), {
    description: 'Who may visit: addresses and blocks of them; unset: all.',
  }),
  deny: setting(list(addressBlock()), {
    default: [],
    description: 'Who may not visit, even when allowed.',
  }),
  basicAuth: objects(
    {
      user: setting(
        // oxlint-disable-next-line no-control-regex -- control characters are what is refused here
        text({ pattern: /[^:\u0000-\u001f\u007f]+/, allowed: 'a name without a colon' }),
        { required: true, description: 'Name of the visitor.' },
      ),
      password: setting(secret(), { required: true, description: 'Password of the visitor.' }),
    },
    { description: 'Users that HTTP visitors name themselves as.', maxItems: MAX_USERS },
  ),
  jwt: JWT_SETTINGS,
}

/** The values of `VISITOR_SETTINGS`. */
export type VisitorSettings = Resolved<typeof VISITOR_SETTINGS>

/**
 * What is wrong with settings that each are right.
 *
 * @param key - key path of the group
 * @param kind - what the endpoint carries, where that is known
 */
export function* visitorProblems(
  key: string,
  { basicAuth, jwt }: VisitorSettings,
  kind?: 'http' | 'tcp',
): Generator<RuleProblem> {
  yield* tokenProblems(`${key}.jwt`, jwt, kind)
  const seen = new Set<string>()
  for (const [index, { user, password }] of basicAuth.entries()) {
    const place = `${key}.basic_auth[${index}]`
    if (kind === 'tcp') {
      const message = 'it is for protocol http: a TCP connection has no password'
      yield { key: `${place}.user`, message, hint: 'use allow and deny' }
    }
    if (seen.has(user)) yield { key: `${place}.user`, message: `${user} is listed twice` }
    seen.add(user)
    try {
      checkCredentials(user, password.reveal())
    } catch (error) {
      if (!isAuthError(error)) throw error
      yield { key: `${place}.password`, message: error.message }
    }
  }
}

/** Makes a policy of settings; undefined when they demand nothing. Passwords become verifiers. */
export async function policyOf(settings: VisitorSettings): Promise<VisitorPolicy | undefined> {
  const { allow, deny, basicAuth } = settings
  const jwt = jwtDemand(settings.jwt)
  const isOpen = allow === undefined && deny.length === 0
  if (isOpen && basicAuth.length === 0 && jwt === undefined) return undefined
  const users = await Promise.all(
    basicAuth.map(async ({ user, password }) => ({
      user,
      verifier: await hashPassword(password.reveal()),
    })),
  )
  return {
    ...(allow !== undefined && { allow: allow.map(formatAddressBlock) }),
    ...(deny.length > 0 && { deny: deny.map(formatAddressBlock) }),
    ...(users.length > 0 && { basicAuth: users }),
    ...(jwt !== undefined && { jwt }),
  }
}

function* tokenProblems(
  group: string,
  jwt: JwtSettings,
  kind: 'http' | 'tcp' | undefined,
): Generator<RuleProblem> {
  const first = firstJwtKey(jwt)
  if (kind === 'tcp' && first !== undefined) {
    const message = 'it is for protocol http: a TCP connection has no token'
    yield { key: `${group}.${first}`, message, hint: 'use allow and deny' }
  }
  for (const name of emptyJwtKeys(jwt)) {
    yield { key: `${group}.${name}`, message: 'the key is empty' }
  }
  yield* jwtProblems(group, jwt)
}
