// A small OpenID provider, of which each answer can be wrong in one way.
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

import { listening } from '@proj/testkit/listening'
import { onTestFinished } from 'vitest'

import type { OidcOptions } from '../../src/admin/oidc/oidc-provider.ts'

/** What is wrong; each is given what would be right. */
export interface Bends {
  readonly metadata?: (right: Record<string, unknown>) => object
  readonly claims?: (right: Record<string, unknown>) => object
  readonly header?: (right: Record<string, unknown>) => object
  /** The keys that everybody may read. */
  readonly keys?: (right: Record<string, unknown>[]) => object[]
  /** The signed ID token. */
  readonly idToken?: (right: string) => string
  readonly userInfo?: (right: Record<string, unknown>) => object
  /** Answers in place of a route; returns true when it has. */
  readonly answer?: (path: string, response: ServerResponse) => boolean
}

/** A running provider. */
export interface BentProvider {
  readonly issuer: string
  /** What may be changed while it runs. */
  bends: Bends
  /** Bodies of the requests for tokens. */
  readonly tokenRequests: { readonly form: URLSearchParams; readonly authorization: string }[]
  /** Requests by path. */
  readonly counts: Map<string, number>
  /** Settings of a server that signs in here. */
  readonly options: OidcOptions
  /** Does what browser and person do at the authorization endpoint. @returns the query that comes back. */
  readonly authorize: (url: string) => string
}

const PAIR = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** Starts a provider that knows one person. */
export async function bentProvider(
  person: Record<string, unknown> = { sub: 'ada', groups: ['staff', 'admins'] },
): Promise<BentProvider> {
  const codes = new Map<string, URLSearchParams>()
  const counts = new Map<string, number>()
  const tokenRequests: BentProvider['tokenRequests'] = []
  const run = { bends: {} as Bends }
  let issuer = ''
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? ''
    counts.set(path, (counts.get(path) ?? 0) + 1)
    if (run.bends.answer?.(path, response) === true) return
    void serve(path, request).then(
      ({ status = 200, body }) =>
        response
          .writeHead(status, { 'content-type': 'application/json' })
          .end(JSON.stringify(body)),
      (error: unknown) => response.destroy(error as Error),
    )
  })

  async function serve(
    path: string,
    request: IncomingMessage,
  ): Promise<{ status?: number; body: object }> {
    const { bends } = run
    if (path === '/.well-known/openid-configuration') {
      const right = {
        issuer,
        authorization_endpoint: `${issuer}/authorize?kept=1`,
        token_endpoint: `${issuer}/token`,
        userinfo_endpoint: `${issuer}/me`,
        jwks_uri: `${issuer}/keys`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'none', 'HS256'],
        authorization_response_iss_parameter_supported: true,
      }
      return { body: bends.metadata?.(right) ?? right }
    }
    if (path === '/keys') {
      const jwk = PAIR.publicKey.export({ format: 'jwk' })
      const right = [{ ...jwk, kid: 'one', use: 'sig', alg: 'RS256' }]
      return { body: { keys: bends.keys?.(right) ?? right } }
    }
    if (path === '/me') {
      if (request.headers.authorization !== 'Bearer access') return { status: 401, body: {} }
      const right = { sub: person['sub'], ...person }
      return { body: bends.userInfo?.(right) ?? right }
    }
    if (path !== '/token') return { status: 404, body: {} }
    const form = new URLSearchParams(await text(request))
    tokenRequests.push({ form, authorization: request.headers.authorization ?? '' })
    const asked = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const isGood =
      asked?.get('code_challenge') === challenge &&
      asked.get('redirect_uri') === form.get('redirect_uri')
    if (asked === undefined || !isGood) return { status: 400, body: { error: 'invalid_grant' } }
    const now = Math.floor(Date.now() / 1000)
    const right = {
      iss: issuer,
      aud: asked.get('client_id'),
      iat: now,
      exp: now + 300,
      nonce: asked.get('nonce'),
      ...person,
    }
    const header = { alg: 'RS256', kid: 'one' }
    const signed = signedJwt(bends.header?.(header) ?? header, bends.claims?.(right) ?? right)
    const id_token = bends.idToken?.(signed) ?? signed
    return { body: { access_token: 'access', token_type: 'Bearer', expires_in: 300, id_token } }
  }

  const { port, ...listener } = await listening(server)
  onTestFinished(async () => await listener.close())
  issuer = `http://127.0.0.1:${port}`
  return Object.assign(run, {
    issuer,
    counts,
    tokenRequests,
    options: {
      issuer,
      clientId: 'console',
      clientSecret: undefined,
      scopes: ['openid'],
      claim: 'groups',
      allow: ['admins'],
      nameClaim: 'sub',
    },
    authorize: (url: string): string => {
      const asked = new URL(url).searchParams
      const code = randomUUID()
      codes.set(code, asked)
      return String(new URLSearchParams({ code, state: asked.get('state') ?? '', iss: issuer }))
    },
  })
}

function signedJwt(header: object, claims: object): string {
  const parts = [header, claims].map((one) =>
    Buffer.from(JSON.stringify(one)).toString('base64url'),
  )
  const signature = sign('sha256', Buffer.from(parts.join('.')), PAIR.privateKey)
  return [...parts, signature.toString('base64url')].join('.')
}
