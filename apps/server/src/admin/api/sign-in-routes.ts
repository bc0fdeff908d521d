/** Signing in to the console with an OpenID provider. */
import { isSameOrigin } from '@proj/program-kit'
import type { BegunSignIn, NewSession, SignInWays } from '@proj/pages/console'
import type { Logger } from '@proj/tunnel'

import type { AuditLog } from '../../store/audit-log.ts'
import type { OidcSignIn } from '../oidc/oidc-sign-in.ts'
import { SignInError, type SignInFailure } from '../oidc/sign-in-error.ts'
import { ApiError, type ApiErrorCode } from './api-error.ts'
import { type ApiCall, type ApiRoute, shapeOf } from './api-route.ts'
import type { ConsoleSessions } from './console-sessions.ts'
import type { JsonShape } from './json-shape.ts'
import { startedSession } from './session-routes.ts'

/** Path of the routes below that of the API. */
const SIGN_IN_PATH = '/sign-in'

/** Longest text of each member, characters: a head of a request has 16 KiB. */
const MAX_TEXT = 16_384

const CODES: Readonly<Record<SignInFailure, ApiErrorCode>> = {
  invalid: 'sign-in-invalid',
  refused: 'sign-in-refused',
  unavailable: 'provider-unavailable',
  busy: 'sign-in-busy',
}

/** What these routes work with. */
export interface SignInSources {
  /** Undefined: none is configured. */
  readonly oidc: OidcSignIn | undefined
  readonly sessions: ConsoleSessions
  readonly audit: AuditLog
  /** Counts a failure of an address. */
  readonly onFailed: (remoteAddress: string | undefined) => void
  readonly logger: Logger
}

/** Shapes of the routes, by their names. */
export const SIGN_IN_SHAPES: Readonly<Record<string, JsonShape>> = {
  SignInWays: {
    type: 'object',
    description: 'How people sign in, besides with a token or key.',
    properties: {
      provider: {
        type: ['string', 'null'],
        description: 'Host of the OpenID provider; null: none is configured.',
      },
    },
    required: ['provider'],
  },
  BegunSignIn: {
    type: 'object',
    description: 'A sign-in that has begun.',
    properties: {
      url: { type: 'string', description: 'Where the browser goes.' },
      pending: { type: 'string', description: 'For POST /sign-in; good for 10 minutes.' },
    },
    required: ['url', 'pending'],
  },
}

/** Whether a path is one of those that somebody uses who has no credentials yet. */
export function isSignInPath(path: string): boolean {
  return path === SIGN_IN_PATH || path.startsWith(`${SIGN_IN_PATH}/`)
}

/** The routes of signing in. */
export function signInRoutes({ oidc, sessions, ...more }: SignInSources): ApiRoute[] {
  const text = { type: 'string', maxLength: MAX_TEXT } as const
  return [
    {
      method: 'GET',
      path: SIGN_IN_PATH,
      summary: 'Tells how people sign in. Needs no credentials.',
      answers: { 200: { text: 'The ways.', shape: shapeOf('SignInWays') } },
      errors: [],
      run: async () => ({ body: { provider: oidc?.host ?? null } satisfies SignInWays }),
    },
    {
      method: 'POST',
      path: `${SIGN_IN_PATH}/oidc`,
      summary: 'Begins to sign in with the OpenID provider. Needs no credentials.',
      body: {
        type: 'object',
        properties: {
          redirect: {
            ...text,
            description: 'Address of the page, to which the provider sends the browser back.',
          },
        },
        required: ['redirect'],
      },
      answers: { 200: { text: 'It has begun.', shape: shapeOf('BegunSignIn') } },
      errors: ['not-found', 'provider-unavailable'],
      run: async (call) => {
        const { redirect } = call.body as { redirect: string }
        if (!isOwnPage(redirect, call)) {
          const field = 'redirect'
          throw new ApiError('body-invalid', `${field}: it is no page of this port`, { field })
        }
        const begun = await failable(call, more, async () => await own(oidc).begin(redirect))
        return { body: begun satisfies BegunSignIn }
      },
    },
    {
      // One step below the API, so that the cookie is for all of it: see ConsoleSessions.
      method: 'POST',
      path: SIGN_IN_PATH,
      summary:
        'Begins a session with what the provider has added to the address of the page. Needs no credentials.',
      body: {
        type: 'object',
        properties: {
          pending: { ...text, description: 'That of POST /sign-in/oidc.' },
          answer: { ...text, description: 'The query of the page.' },
        },
        required: ['pending', 'answer'],
      },
      answers: { 201: { text: 'The session.', shape: shapeOf('NewSession') } },
      errors: [
        'not-found',
        'sign-in-invalid',
        'sign-in-refused',
        'sign-in-busy',
        'provider-unavailable',
      ],
      run: async (call) => {
        const { pending, answer } = call.body as { pending: string; answer: string }
        const finish = async () => await own(oidc).finish(pending, answer)
        const identity = await failable(call, more, finish)
        const { actor, request } = call
        more.audit.write('session.opened', { ...actor, by: identity })
        const { headers, body } = startedSession(sessions, { identity }, identity, request)
        return { status: 201, headers, body: body satisfies NewSession }
      },
    },
  ]
}

function own(oidc: OidcSignIn | undefined): OidcSignIn {
  if (oidc !== undefined) return oidc
  throw new ApiError('not-found', 'no OpenID provider is configured')
}

/** Whether an address is that of a page that the request comes from. The provider compares it with those it knows. */
function isOwnPage(address: string, { request: { headers } }: ApiCall): boolean {
  if (!URL.canParse(address)) return false
  const { protocol, origin, username, password, search, hash } = new URL(address)
  const { origin: sender = origin, host } = headers
  return (
    (protocol === 'https:' || protocol === 'http:') &&
    `${username}${password}${search}${hash}` === '' &&
    sender === origin &&
    isSameOrigin(origin, host)
  )
}

/** Turns what ends a sign-in into the answer, and notes it. */
async function failable<Value>(
  { actor: { remoteAddress } }: ApiCall,
  { audit, onFailed, logger }: Pick<SignInSources, 'audit' | 'onFailed' | 'logger'>,
  step: () => Promise<Value>,
): Promise<Value> {
  try {
    return await step()
  } catch (error) {
    if (!(error instanceof SignInError)) throw error
    const { failure, message: why } = error
    const code = CODES[failure]
    logger.warn({ code, why, remoteAddress }, 'sign-in to the console failed')
    if (failure === 'invalid' || failure === 'refused') {
      onFailed(remoteAddress)
      audit.write('auth.failed', { port: 'admin', remoteAddress, why })
    }
    throw new ApiError(code)
  }
}
