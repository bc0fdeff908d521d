import { MAX_PATTERNS, RIGHTS, type Right } from '@proj/auth'
import { isConfigError, parseDuration } from '@proj/config'

import {
  endToken,
  issueToken,
  rescopeToken,
  TokenProblem,
  type TokenProblemCode,
} from '../../auth/issue-token.ts'
import { describeToken } from '../../commands/token-view.ts'
import type { Store } from '../../store/store.ts'
import type { TokenRecord } from '../../store/token-store.ts'
import { ApiError, type ApiErrorCode } from './api-error.ts'
import { type ApiCall, type ApiResult, type ApiRoute, shapeOf } from './api-route.ts'
import type { JsonShape, ObjectShape } from './json-shape.ts'
import { pageOf, PAGE_QUERY, pageShape, tagOf } from './paging.ts'

/** Shortest life of a token, as of the command line. */
const MIN_EXPIRES_MS = 1_000

const SCOPE: Readonly<Record<'name' | 'may' | 'endpoints', JsonShape>> = {
  name: { type: 'string', maxLength: 200, description: 'Name for people.' },
  may: {
    type: 'array',
    items: { type: 'string', enum: RIGHTS },
    maxItems: RIGHTS.length,
    description: 'What it allows.',
  },
  endpoints: {
    type: 'array',
    items: { type: 'string', minLength: 1, maxLength: 253 },
    maxItems: MAX_PATTERNS,
    description: 'Patterns of endpoint names; * stands for any characters.',
  },
}

const MOMENT: JsonShape = { type: 'string', format: 'date-time' }
const MOMENT_OR_NEVER: JsonShape = { type: ['string', 'null'], format: 'date-time' }

/** A token as the API and `--json` show it. */
export const TOKEN_SHAPE: ObjectShape = {
  type: 'object',
  description: 'A token, without its secret.',
  properties: {
    id: { type: 'string', description: 'The part between the underscores.' },
    identity: { type: 'string', description: 'Who its bearer is; names are reserved for it.' },
    tenant: { type: 'string', description: 'Empty: none.' },
    ...SCOPE,
    created: MOMENT,
    expires: MOMENT_OR_NEVER,
    revoked: MOMENT_OR_NEVER,
    lastUse: MOMENT_OR_NEVER,
    state: { type: 'string', enum: ['good', 'expired', 'revoked'] },
  },
  required: [
    'id',
    'identity',
    'name',
    'tenant',
    'may',
    'endpoints',
    'created',
    'expires',
    'revoked',
    'lastUse',
    'state',
  ],
}

/** A token that was just made. */
export const NEW_TOKEN_SHAPE: ObjectShape = {
  ...TOKEN_SHAPE,
  description: 'A token with its secret, which is shown this once.',
  properties: {
    token: { type: 'string', description: 'The token itself; the server stores only its hash.' },
    ...TOKEN_SHAPE.properties,
  },
  required: ['token', ...(TOKEN_SHAPE.required ?? [])],
}

const ERRORS: Readonly<Record<TokenProblemCode, ApiErrorCode>> = {
  'endpoints-missing': 'endpoints-missing',
  'field-invalid': 'body-invalid',
  'limit-reached': 'limit-reached',
  'not-as-seen': 'precondition-failed',
  'tenant-differs': 'tenant-differs',
  'token-revoked': 'token-revoked',
  'token-unknown': 'not-found',
}

const ID = { id: 'Id of the token.' }

/** The routes of tokens. */
export function tokenRoutes(store: Store): ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/tokens',
      summary: 'Lists the tokens, oldest first.',
      query: {
        ...PAGE_QUERY,
        state: {
          type: 'string',
          enum: ['good', 'expired', 'revoked'],
          description: 'Only those in this state.',
        },
        tenant: { type: 'string', maxLength: 253, description: 'Only those of this tenant.' },
      },
      answers: { 200: { text: 'A page of tokens.', shape: pageShape(shapeOf('Token')) } },
      errors: [],
      run: async (call) => {
        const { state, tenant } = call.query
        const tokens = store.tokens
          .list()
          .filter((one) => tenant === undefined || one.tenant === tenant)
          .map((one) => ({ key: keyOf(one), shown: describeToken(one) }))
          .filter(({ shown }) => state === undefined || shown['state'] === state)
        const { items, ...next } = pageOf(tokens, ({ key }) => key, call)
        return { body: { items: items.map(({ shown }) => shown), ...next } }
      },
    },
    {
      method: 'POST',
      path: '/tokens',
      summary: 'Creates a token. Its text is in this answer and never shown again.',
      body: {
        type: 'object',
        properties: {
          ...SCOPE,
          expires: {
            type: 'string',
            minLength: 1,
            maxLength: 40,
            default: '90d',
            description: 'How long it is valid, as a duration (30d, 12h); inf: for ever.',
          },
          tenant: { type: 'string', maxLength: 253, description: 'Default: none.' },
          replaces: {
            type: 'string',
            maxLength: 300,
            description: 'Id of the token that it replaces: it keeps the identity and its names.',
          },
        },
        additionalProperties: false,
      },
      answers: { 201: { text: 'The token.', shape: shapeOf('NewToken') } },
      errors: ['endpoints-missing', 'limit-reached', 'not-found', 'tenant-differs'],
      run: async ({ body, actor }) => {
        const { expires = '90d', ...wish } = body as TokenBody // it has the shape above
        const { text, record } = await answered(async () =>
          issueToken(
            store,
            {
              endpoints: wish.endpoints ?? [],
              may: wish.may ?? ['listen', 'connect'],
              expiresMs: lifeOf(expires),
              tenant: wish.tenant ?? '',
              name: wish.name ?? '',
              replaces: wish.replaces,
            },
            actor,
          ),
        )
        const token = { ...record, revokedAt: undefined, lastUsedAt: undefined }
        return {
          status: 201,
          body: { token: text, ...describeToken(token) },
          tag: tokenTag(token),
          headers: { location: `/api/v1/tokens/${record.id}` },
        }
      },
    },
    {
      method: 'GET',
      path: '/tokens/{id}',
      summary: 'Shows a token.',
      parts: ID,
      answers: { 200: { text: 'The token.', shape: shapeOf('Token') } },
      errors: ['not-found'],
      run: async ({ path }) => shown(existing(store, path)),
    },
    {
      method: 'PATCH',
      path: '/tokens/{id}',
      summary:
        'Changes what a token allows. Its sessions end and connect again with the new rights.',
      parts: ID,
      body: { type: 'object', properties: SCOPE, additionalProperties: false },
      answers: { 200: { text: 'The token as it is now.', shape: shapeOf('Token') } },
      errors: ['endpoints-missing', 'not-found', 'precondition-failed', 'token-revoked'],
      isConditional: true,
      run: async ({ path, body, actor, requireMatch }) => {
        const { may, ...rest } = body as TokenBody // it has the shape above
        const scope = { ...rest, ...(may !== undefined && { rights: may }) }
        const isAsSeen = asSeenBy(requireMatch)
        const { id } = existing(store, path)
        return shown(
          await answered(async () => await rescopeToken(store, id, { scope, isAsSeen, actor })),
        )
      },
    },
    {
      method: 'DELETE',
      path: '/tokens/{id}',
      summary: 'Revokes a token; its sessions end within seconds. It stays in the list.',
      parts: ID,
      answers: { 200: { text: 'The token as it is now.', shape: shapeOf('Token') } },
      errors: ['not-found', 'precondition-failed'],
      isConditional: true,
      run: async ({ path, actor, requireMatch }) => {
        const { id } = existing(store, path)
        return shown(
          await answered(async () => await endToken(store, id, actor, asSeenBy(requireMatch))),
        )
      },
    },
  ]
}

interface TokenBody {
  readonly name?: string
  readonly may?: readonly Right[]
  readonly endpoints?: readonly string[]
  readonly expires?: string
  readonly tenant?: string
  readonly replaces?: string
}

/** Judges If-Match right before the change: two requests with one tag do not both succeed. */
function asSeenBy(requireMatch: ApiCall['requireMatch']): (token: TokenRecord) => boolean {
  return (token) => {
    requireMatch(tokenTag(token))
    return true
  }
}

/** The use of a token is no change of it. */
function tokenTag({ name, rights, endpoints, revokedAt }: TokenRecord): string {
  return tagOf([name, rights, endpoints, revokedAt ?? null])
}

function shown(token: TokenRecord): ApiResult {
  return { body: describeToken(token), tag: tokenTag(token) }
}

function existing(store: Store, { id = '' }: Readonly<Record<string, string>>): TokenRecord {
  const found = store.tokens.find(id)
  if (found !== undefined) return found
  // Not repeated as it was given: it may be a whole token.
  throw new ApiError('not-found', 'there is no token of that id')
}

/** Tokens are never removed, so a key stays where it is. */
function keyOf({ createdAt, id }: TokenRecord): string {
  return `${String(createdAt).padStart(16, '0')} ${id}`
}

function lifeOf(text: string): number {
  try {
    const ms = parseDuration(text)
    if (ms >= MIN_EXPIRES_MS) return ms
  } catch (error) {
    if (!isConfigError(error)) throw error
    throw new ApiError('body-invalid', `expires: ${error.message}`, { field: 'expires' })
  }
  throw new ApiError('body-invalid', 'expires: must be at least 1s', { field: 'expires' })
}

async function answered<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof TokenProblem)) throw error
    const { code, field, message } = error
    const about = field === undefined ? message : `${field}: ${message}`
    throw new ApiError(ERRORS[code], about, field === undefined ? {} : { field })
  }
}
