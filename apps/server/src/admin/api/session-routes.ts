import { bearerToken, isAuthError } from '@proj/auth'
import type { NewSession, Session } from '@proj/pages/console'
import type { AdminApiRequest } from '@proj/program-kit'

import type { AuditLog } from '../../store/audit-log.ts'
import { ApiError } from './api-error.ts'
import { type ApiRoute, shapeOf } from './api-route.ts'
import type { ConsoleSessions, SessionCredentials } from './console-sessions.ts'
import type { ObjectShape } from './json-shape.ts'

/** Who asks, as the API shows it. */
export const SESSION_SHAPE: ObjectShape = {
  type: 'object',
  description: 'Who asks.',
  properties: {
    identity: { type: 'string', description: 'anonymous: no credentials were shown or asked for.' },
    mayChange: { type: 'boolean', description: 'Whether changes are allowed without more.' },
    ends: {
      type: ['string', 'null'],
      format: 'date-time',
      description: 'When the session ends; null: the request has none.',
    },
  },
  required: ['identity', 'mayChange', 'ends'],
}

/** A session that has just begun. */
export const NEW_SESSION_SHAPE: ObjectShape = {
  ...SESSION_SHAPE,
  description: 'A session that has begun; its other half is the cookie of this answer.',
  properties: {
    proof: { type: 'string', description: 'For the header Adit-Session of each request.' },
    ...SESSION_SHAPE.properties,
  },
  required: ['proof', ...(SESSION_SHAPE.required ?? [])],
}

/** The routes of a signed-in page. */
export function sessionRoutes(
  sessions: ConsoleSessions,
  { audit, changesNeedKey }: { readonly audit: AuditLog; readonly changesNeedKey: boolean },
): ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/session',
      summary: 'Tells who asks.',
      answers: { 200: { text: 'The caller.', shape: shapeOf('Session') } },
      errors: [],
      run: async ({ request: { caller, headers, localPort } }) => {
        const endsAt = sessions.find(headers, localPort)?.endsAt
        return {
          body: {
            identity: caller.identity,
            mayChange: caller.isKnown || !changesNeedKey,
            ends: endsAt === undefined ? null : new Date(endsAt).toISOString(),
          } satisfies Session,
        }
      },
    },
    {
      method: 'POST',
      path: '/session',
      summary:
        'Begins a session of a web page for the token in Authorization: a cookie and a proof, both of which each of its requests has to have.',
      answers: { 201: { text: 'The session.', shape: shapeOf('NewSession') } },
      errors: [],
      run: async ({ request, actor }) => {
        const { caller, headers } = request
        const token = shownToken(headers)
        if (token === undefined || !caller.isKnown) {
          throw new ApiError('unauthorized', 'a session needs a token or key in Authorization')
        }
        audit.write('session.opened', { ...actor })
        return { status: 201, ...startedSession(sessions, { token }, caller.identity, request) }
      },
    },
    {
      method: 'DELETE',
      path: '/session',
      summary: 'Ends the session of the request.',
      answers: { 200: { text: 'There is none any more.', shape: { type: 'object' } } },
      errors: [],
      run: async ({ request: { headers, localPort }, actor }) => {
        if (sessions.find(headers, localPort) !== undefined) {
          audit.write('session.closed', { ...actor })
        }
        return { body: {}, headers: { 'set-cookie': sessions.endOf(headers, localPort) } }
      },
    },
  ]
}

/** Begins a session of who has shown that they may have one. */
export function startedSession(
  sessions: ConsoleSessions,
  credentials: SessionCredentials,
  identity: string,
  { headers, localPort }: Pick<AdminApiRequest, 'headers' | 'localPort'>,
): { readonly body: NewSession; readonly headers: Record<string, string> } {
  const isSecure = headers.origin?.startsWith('https:') === true
  const { cookie, proof, endsAt } = sessions.begin(credentials, localPort, isSecure)
  return {
    body: { proof, identity, mayChange: true, ends: new Date(endsAt).toISOString() },
    headers: { 'set-cookie': cookie },
  }
}

function shownToken(headers: Parameters<typeof bearerToken>[0]): string | undefined {
  try {
    return bearerToken(headers)
  } catch (error) {
    if (isAuthError(error)) return undefined
    throw error
  }
}
