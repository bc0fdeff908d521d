import { AGENT_ACT_SHAPE } from './agent-routes.ts'
import { API_ERRORS, type ApiErrorCode } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { AUDIT_SHAPE } from './audit-routes.ts'
import { DOMAIN_SHAPE } from './domain-routes.ts'
import { ENDPOINT_SHAPES } from './endpoint-routes.ts'
import type { JsonShape } from './json-shape.ts'
import { RESERVATION_SHAPE } from './reservation-routes.ts'
import { SERVER_SHAPES } from './server-routes.ts'
import { NEW_SESSION_SHAPE, SESSION_SHAPE } from './session-routes.ts'
import { SIGN_IN_SHAPES } from './sign-in-routes.ts'
import { STATUS_SHAPES } from './status-routes.ts'
import { NEW_TOKEN_SHAPE, TOKEN_SHAPE } from './token-routes.ts'

/** Errors of every route. */
const COMMON: readonly ApiErrorCode[] = [
  'query-invalid',
  'unauthorized',
  'loopback-only',
  'proxy-refused',
  'origin-refused',
  'host-refused',
  'tenant-refused',
  'too-many-failures',
  'internal',
  'credentials-unchecked',
  'store-unavailable',
]

/** Errors of every route that changes something. */
const OF_CHANGES: readonly ApiErrorCode[] = [
  'body-invalid',
  'body-too-large',
  'content-type-unsupported',
  'key-required',
]

const ERROR_SHAPE: JsonShape = {
  type: 'object',
  description: 'An error. It may have further members.',
  properties: {
    error: { type: 'string', description: 'The reason in one sentence, for people.' },
    code: { type: 'string', enum: Object.keys(API_ERRORS), description: 'For programs.' },
    hint: { type: 'string', description: 'What the caller can do.' },
    field: { type: 'string', description: 'The member or parameter that it is about.' },
  },
  required: ['error', 'code', 'hint'],
  additionalProperties: true,
}

const TAG = {
  description: 'Version of the resource, for If-Match.',
  schema: { type: 'string' },
} as const

/** Errors that a route answers with, those of every route included. */
function errorsOf({ method, errors }: ApiRoute): ApiErrorCode[] {
  return [...COMMON, ...(method === 'GET' ? [] : OF_CHANGES), ...errors]
}

/** The OpenAPI 3.1 document of the API, made of the routes that answer. */
export function openApiDocument(routes: readonly ApiRoute[], version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = (paths[route.path] ??= {})
    path[route.method.toLowerCase()] = operationOf(route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Adit server',
      version,
      description:
        'Tokens, reserved names, domains, the audit log, and what the server serves now.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/api/v1' }],
    // Without credentials where the port asks for none: reads, and changes of a server without a key.
    security: [{ token: [] }, { certificate: [] }, { session: [] }, {}],
    paths,
    components: {
      parameters: {
        IfMatch: {
          name: 'If-Match',
          in: 'header',
          description: 'ETags of the versions to change; another version is left alone.',
          schema: { type: 'string' },
        },
      },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A token or JWT with the right admin, or the key that the server writes into adit.operator of its data directory. Where the port asks for no credentials, changes need it all the same.',
        },
        certificate: { type: 'mutualTLS' },
        session: {
          type: 'apiKey',
          in: 'header',
          name: 'Adit-Session',
          description:
            'The proof of a session of a web page, beside its cookie: see POST /session.',
        },
      },
      schemas: {
        Error: ERROR_SHAPE,
        Session: SESSION_SHAPE,
        NewSession: NEW_SESSION_SHAPE,
        Token: TOKEN_SHAPE,
        NewToken: NEW_TOKEN_SHAPE,
        Reservation: RESERVATION_SHAPE,
        Domain: DOMAIN_SHAPE,
        AuditEvent: AUDIT_SHAPE,
        AgentAct: AGENT_ACT_SHAPE,
        ...ENDPOINT_SHAPES,
        ...SERVER_SHAPES,
        ...STATUS_SHAPES,
        ...SIGN_IN_SHAPES,
      },
    },
  }
}

function operationOf(route: ApiRoute): object {
  const { method, path, summary, parts = {}, query = {}, body, answers, isConditional } = route
  const found = Object.entries(answers).map(
    ([status, { text, shape, type = 'application/json' }]) => [
      status,
      {
        description: text,
        headers: { ETag: TAG },
        content: { [type]: { schema: shape } },
      },
    ],
  )
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[/{}]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary,
    parameters: [
      ...Object.entries(parts).map(([name, description]) => ({
        name,
        in: 'path',
        required: true,
        description,
        schema: { type: 'string' },
      })),
      ...Object.entries(query).map(([name, { description, ...schema }]) => ({
        name,
        in: 'query',
        description,
        schema,
      })),
      ...(isConditional === true ? [{ $ref: '#/components/parameters/IfMatch' }] : []),
    ],
    ...(body !== undefined && {
      requestBody: { required: true, content: { 'application/json': { schema: body } } },
    }),
    responses: { ...Object.fromEntries(found), ...errorAnswers(route) },
  }
}

/** Errors by status: several codes may have the same. */
function errorAnswers(route: ApiRoute): Record<string, object> {
  const byStatus = new Map<number, ApiErrorCode[]>()
  for (const code of errorsOf(route)) {
    const { status } = API_ERRORS[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  const entries = [...byStatus].map(([status, codes]) => {
    const description = codes.map((code) => `${code}: ${API_ERRORS[code].meaning}`).join('; ')
    const content = { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } }
    return [String(status), { description, content }] as const
  })
  return Object.fromEntries(entries)
}
