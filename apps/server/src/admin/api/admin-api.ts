/**
 * The API of the server, `/api/v1` on the admin port: what the commands on the store do, for programs. The
 * routes are data; the same data answers requests and makes the OpenAPI document.
 */
import { type AdminAnswer, type AdminApi, type AdminApiRequest, jsonLine } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'
import { isLoopback } from '@proj/config/address'

import { isStoreError } from '../../store/store-error.ts'
import type { ClaimDomainContext } from '../../upstream/claim-domain.ts'
import type { ReserveContext } from '../../upstream/reserve-name.ts'
import { API_ERRORS, ApiError, type ApiErrorCode } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { auditRoutes } from './audit-routes.ts'
import { agentRoutes } from './agent-routes.ts'
import type { ConsoleSessions } from './console-sessions.ts'
import { domainRoutes } from './domain-routes.ts'
import { endpointRoutes } from './endpoint-routes.ts'
import { eventRoutes } from './event-routes.ts'
import { type JsonShape, shapeProblem } from './json-shape.ts'
import { openApiDocument } from './openapi.ts'
import { tagOf } from './paging.ts'
import { reservationRoutes } from './reservation-routes.ts'
import { serverRoutes } from './server-routes.ts'
import { sessionRoutes } from './session-routes.ts'
import { isSignInPath, signInRoutes, type SignInSources } from './sign-in-routes.ts'
import { statusRoutes } from './status-routes.ts'
import type { ApiSources } from './api-sources.ts'
import { tokenRoutes } from './token-routes.ts'

/** What reverse proxies add to the requests that they pass on. Many speak HTTP/1.0 unless told otherwise. */
const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const

/** Codes by the status of a denial. */
const DENIAL_CODES: Readonly<Record<number, ApiErrorCode>> = {
  401: 'unauthorized',
  429: 'too-many-failures',
  503: 'credentials-unchecked',
}

/** Where the API is. */
export const API_PATH = '/api/v1'

/** What the API works with. */
export interface AdminApiParts extends ReserveContext, ClaimDomainContext {
  readonly status: ApiSources
  /** Signed-in pages. */
  readonly sessions: ConsoleSessions
  /** Signing in with a provider. */
  readonly signIn: Pick<SignInSources, 'oidc' | 'onFailed'>
  /** Whether changes need credentials where the port asks for none: there is a key that can be shown. */
  readonly changesNeedKey: boolean
  /** Version of the program. */
  readonly version: string
  readonly logger: Logger
}

/** Makes the API of a server. */
export function createAdminApi(parts: AdminApiParts): AdminApi {
  const { logger, changesNeedKey } = parts
  const routes = apiRoutes(parts)
  return {
    path: API_PATH,
    answer: async (request) => {
      try {
        return await answer(routes, request, changesNeedKey)
      } catch (error) {
        if (error instanceof ApiError) return errorAnswer(error)
        logger.error({ err: error, path: request.path }, 'request to the API failed')
        return errorAnswer(new ApiError(isStoreError(error) ? 'store-unavailable' : 'internal'))
      }
    },
    deny: ({ status, error }) =>
      errorAnswer(new ApiError(DENIAL_CODES[status] ?? 'internal', error)),
  }
}

/** Every route, with that of the document itself. */
function apiRoutes(parts: AdminApiParts): ApiRoute[] {
  const routes: ApiRoute[] = [
    ...sessionRoutes(parts.sessions, {
      audit: parts.store.audit,
      changesNeedKey: parts.changesNeedKey,
    }),
    ...signInRoutes({ ...parts.signIn, ...parts, audit: parts.store.audit }),
    ...tokenRoutes(parts.store),
    ...reservationRoutes(parts),
    ...domainRoutes(parts),
    ...auditRoutes(parts.store.audit),
    ...statusRoutes(parts.status),
    ...endpointRoutes(parts.status),
    ...agentRoutes(parts.status.agents, parts.store.audit),
    ...serverRoutes(parts.status),
    ...eventRoutes(parts.status.changes),
    {
      method: 'GET',
      path: '/openapi.json',
      summary: 'This document.',
      answers: {
        200: { text: 'OpenAPI 3.1.', shape: { type: 'object', additionalProperties: true } },
      },
      errors: [],
      run: async () => ({ body: document }),
    },
  ]
  const document = openApiDocument(routes, parts.version)
  return routes
}

async function answer(
  routes: readonly ApiRoute[],
  request: AdminApiRequest,
  changesNeedKey: boolean,
): Promise<AdminAnswer> {
  const { method, path, headers, caller } = request
  // Who signs in has no credentials yet, and gets nothing but a session.
  const isOpen = isSignInPath(path)
  if (!isOpen) mayAsk(request)
  const found = routes.flatMap((route) => {
    const parts = matchPath(route.path, path)
    return parts === undefined ? [] : [{ route, parts }]
  })
  if (found.length === 0) throw new ApiError('not-found')
  const asked = method === 'HEAD' ? 'GET' : method
  const match = found.find(({ route }) => route.method === asked)
  if (match === undefined) {
    const allow = found.flatMap(({ route }) =>
      route.method === 'GET' ? ['GET', 'HEAD'] : [route.method],
    )
    const { headers: typed, ...refused } = errorAnswer(new ApiError('method-not-allowed'))
    return { ...refused, headers: { ...typed, allow: allow.join(', ') } }
  }
  const { route, parts } = match
  if (caller.tenant !== '' && route.isOfTenants !== true) throw new ApiError('tenant-refused')
  if (route.method !== 'GET' && changesNeedKey && !caller.isKnown && !isOpen) {
    throw new ApiError('key-required')
  }
  // A page of another site cannot send this type without asking first, and is never allowed to.
  if (route.method !== 'GET' && !isJson(headers['content-type'])) {
    throw new ApiError('content-type-unsupported')
  }
  const result = await route.run({
    path: parts,
    query: queryOf(route, request.query),
    body: bodyOf(route, request.body),
    actor: { by: caller.identity, remoteAddress: caller.remoteAddress },
    request,
    tenant: caller.tenant,
    requireMatch: (tag) => requireMatch(headers['if-match'], tag),
  })
  if (result.stream !== undefined) return { stream: result.stream }
  const etag = `"${result.tag ?? tagOf(result.body)}"`
  if (route.method === 'GET' && namesTag(headers['if-none-match'], etag)) {
    return { status: 304, headers: { etag } }
  }
  return {
    status: result.status ?? 200,
    type: 'application/json',
    body: jsonLine(result.body),
    headers: { etag, ...result.headers },
  }
}

/** Who may use the API, of those that the port answers. */
function mayAsk({ caller, headers, httpVersion }: AdminApiRequest): void {
  const { isKnown, remoteAddress } = caller
  if (!isKnown) {
    if (remoteAddress !== undefined && !isLoopback(remoteAddress)) {
      throw new ApiError('loopback-only')
    }
    // A proxy on this machine has a loopback address too, and may pass on requests of anyone.
    if (httpVersion === '1.0' || PROXY_HEADERS.some((name) => headers[name] !== undefined)) {
      throw new ApiError('proxy-refused')
    }
  }
}

/** @returns the parts in braces, decoded; undefined when the path is another one. */
function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const parts: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const text = given[index] ?? ''
    if (!part.startsWith('{')) {
      if (part !== text) return undefined
      continue
    }
    try {
      parts[part.slice(1, -1)] = decodeURIComponent(text)
    } catch {
      return undefined
    }
  }
  return parts
}

function queryOf(
  { query: shapes = {} }: ApiRoute,
  query: string,
): Record<string, string | number | undefined> {
  const found: Record<string, string | number> = {}
  for (const [name, text] of new URLSearchParams(query)) {
    const field = name.slice(0, 100)
    const shape = Object.hasOwn(shapes, name) ? shapes[name] : undefined
    if (shape === undefined) {
      throw new ApiError('query-invalid', `${field}: is not known`, { field })
    }
    if (Object.hasOwn(found, name)) {
      throw new ApiError('query-invalid', `${field}: is there twice`, { field })
    }
    const value = shape.type === 'integer' && /^\d+$/.test(text) ? Number(text) : text
    const problem = shapeProblem(value, shape, field)
    if (problem !== undefined) {
      throw new ApiError('query-invalid', `${field}: ${problem.message}`, { field })
    }
    found[name] = value
  }
  return found
}

function bodyOf({ body: shape }: ApiRoute, text: string | undefined): unknown {
  if (text === undefined) throw new ApiError('body-too-large')
  if (shape === undefined) {
    if (text === '') return undefined
    throw new ApiError('body-invalid', 'this request has no body')
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ApiError('body-invalid', 'the body is not JSON')
  }
  const problem = shapeProblem(value, shape satisfies JsonShape)
  if (problem === undefined) return value
  const { field, message } = problem
  throw new ApiError(
    'body-invalid',
    field === '' ? `the body ${message}` : `${field}: ${message}`,
    {
      ...(field !== '' && { field }),
    },
  )
}

/** RFC 9110 section 13.1.1: without the header every version will do. */
function requireMatch(header: string | undefined, tag: string): void {
  if (header === undefined) return
  if (header.trim() === '*' ? tag === 'none' : !namesTag(header, `"${tag}"`)) {
    throw new ApiError('precondition-failed')
  }
}

function namesTag(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((one) => {
    const named = one.trim().replace(/^W\//, '')
    return named === '*' || named === etag
  })
}

function isJson(type: string | undefined): boolean {
  return type?.split(';')[0]?.trim().toLowerCase() === 'application/json'
}

function errorAnswer({ code, message, details }: ApiError): AdminAnswer {
  const { status, hint } = API_ERRORS[code]
  return {
    status,
    type: 'application/json',
    body: jsonLine({ error: message, code, hint, ...details }),
    // RFC 9110 section 15.5.2: a 401 says what it wants.
    ...(status === 401 && { headers: { 'www-authenticate': 'Bearer' } }),
  }
}
