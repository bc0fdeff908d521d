// The API on the admin port, by real requests. Each answer of this file is compared with the OpenAPI document.
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { beforeAll, describe, expect, it, onTestFinished, test } from 'vitest'

import { AuthError, type Gate } from '@proj/auth'
import type { ClusterNode, ClusterRoute } from '@proj/cluster'
import { UpstreamRegistry } from '@proj/tunnel/server'
import { connectRaw, exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { loadSettings } from '@proj/config'
import { parseAddressBlock } from '@proj/config/address'
import { Agent } from '@proj/tunnel'
import { createAdminApi } from '../../../src/admin/api/admin-api.ts'
import { ChangeFeed, MAX_STREAMS, TOPICS } from '../../../src/admin/api/change-feed.ts'
import { ConsoleSessions } from '../../../src/admin/api/console-sessions.ts'
import { EndpointHistory } from '../../../src/endpoint-history/endpoint-history.ts'
import type { ApiSources } from '../../../src/admin/api/api-sources.ts'
import { endpointRoutes } from '../../../src/admin/api/endpoint-routes.ts'
import { statusRoutes } from '../../../src/admin/api/status-routes.ts'
import { aloneView, type ClusterView } from '../../../src/cluster/cluster-view.ts'
import type { DomainLimits } from '../../../src/store/domain-store.ts'
import type { ReservationLimits } from '../../../src/store/reservation-store.ts'
import { StoreError } from '../../../src/store/store-error.ts'
import { API_ERRORS, type ApiErrorCode } from '../../../src/admin/api/api-error.ts'
import type { TlsPortStatus } from '../../../src/tls/tls-status.ts'
import { ProvedDomains } from '../../../src/domains/proved-domains.ts'
import { makeOperatorKey, readOperatorKey } from '../../../src/admin/operator-key.ts'
import { Authenticator } from '../../../src/auth/authenticator.ts'
import type { Server, ServerOptions } from '../../../src/server.ts'
import { OidcSignIn } from '../../../src/admin/oidc/oidc-sign-in.ts'
import { settings } from '../../../src/settings.ts'
import { openStore, memoryStore, type Store } from '../../../src/store/store.ts'
import { bentProvider } from '../bent-provider.ts'
import { authOf, storedToken } from '../../auth/signed.ts'
import { silent } from '../../store/fixtures.ts'
import { request as visitorRequest, startServer, tunnel } from '../../tunnel-fixture.ts'

interface Documented {
  readonly openapi: string
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          { readonly responses: Readonly<Record<string, { readonly content: object }>> }
        >
      >
    >
  >
  readonly components: object
}

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>> & {
    readonly items: readonly Readonly<Record<string, unknown>>[]
    readonly next?: string
    readonly code: string
  }
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<Answer>

let document: Documented
/** What was answered in this file: `GET /tokens 200`, and codes of errors. */
const seen = new Set<string>()

/** A server with a store in a file and one operator. */
async function operated(
  more: Partial<ServerOptions> = {},
  limits: ReservationLimits = {},
  domains: DomainLimits = {},
) {
  const directory = temporaryDirectory()
  const uid = process.geteuid?.()
  const store = openStore(directory.path, { uid, logger: silent, reservations: limits, domains })
  const { id, text: token } = await storedToken(store.tokens, { may: ['admin'], endpoints: [] })
  const { tokens, audit } = store
  const noLimit = { amount: Infinity, periodMs: 60_000 }
  const authenticator = new Authenticator({ tokens, audit, logger: silent, failureRate: noLimit })
  const server = await startServer({}, [], authenticator, undefined, { store, ...more })
  onTestFinished(() => {
    server.destroy()
    authenticator[Symbol.dispose]()
    store.close()
    directory[Symbol.dispose]()
  })
  const ask = asker(server, { authorization: `Bearer ${token}` })
  return { server, store, ask, token, operator: `token:${id}` }
}

function asker(server: Server, own: Readonly<Record<string, string>> = {}): Ask {
  const port = server.listeners.admin.bound[0]?.port ?? 0
  return async (method, path, body, headers = {}) => {
    const changes = method !== 'GET' && method !== 'HEAD'
    const sent = typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await new Promise<Answer>((resolve, reject) => {
      const asked = request({
        port,
        method,
        path: `/api/v1${path}`,
        agent: false,
        headers: {
          host: 'localhost',
          ...own,
          ...(changes && { 'content-type': 'application/json' }),
          ...(sent !== undefined && { 'content-length': Buffer.byteLength(sent) }),
          ...headers,
        },
      })
      asked.once('error', reject)
      asked.once('response', (response) => {
        const { statusCode: status = 0 } = response
        text(response).then(
          (found) =>
            resolve({
              status,
              headers: response.headers,
              body: (found === '' ? {} : JSON.parse(found)) as Answer['body'],
            }),
          reject,
        )
      })
      asked.end(sent)
    })
    compare(method, path, answer)
    return answer
  }
}

const validators = new Map<string, ValidateFunction>()

function validatorOf(pointer: string): ValidateFunction {
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  return ajv.addSchema(document, 'api').compile({ $ref: `api${pointer}` })
}

/** Fails when an answer is not as documented. */
function compare(method: string, path: string, { status, body }: Answer): void {
  if (method === 'HEAD') return // has no body
  if (status >= 400) {
    seen.add(body.code)
    expect(body).toMatchObject({ error: expect.any(String), hint: expect.any(String) })
    expect(API_ERRORS[body.code as ApiErrorCode]?.status).toBe(status)
  }
  if (document === undefined || status === 304) return
  const [plain = ''] = path.split('?')
  const found = Object.entries(document.paths).find(
    ([pattern, methods]) =>
      new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain) &&
      method.toLowerCase() in methods,
  )
  if (found === undefined) return expect([404, 405, 200, 403]).toContain(status)
  const [pattern, methods] = found
  const { responses } = methods[method.toLowerCase()] ?? { responses: {} }
  expect(Object.keys(responses)).toContain(String(status))
  seen.add(`${method} ${pattern} ${status}`)
  const way = pattern.replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D')
  const pointer = `#/paths/${way}/${method.toLowerCase()}/responses/${status}/content/application~1json/schema`
  let validate = validators.get(pointer)
  if (validate === undefined) validators.set(pointer, (validate = validatorOf(pointer)))
  expect({ valid: validate(body), errors: validate.errors, body }).toMatchObject({ errors: null })
}

beforeAll(async () => {
  const server = await startServer()
  const { body } = await asker(server)('GET', '/openapi.json')
  document = body as unknown as Documented
  server.destroy()
})

test('the document is valid OpenAPI 3.1', async () => {
  expect(document.openapi).toBe('3.1.0')
  const { valid, errors } = await new Validator().validate({ ...structuredClone(document) })
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined })
  const { ask } = await operated()
  expect((await ask('GET', '/openapi.json')).status).toBe(200)
})

describe('sessions of a page', () => {
  const ORIGIN = { origin: 'http://localhost', 'sec-fetch-site': 'same-origin' }

  test('need the cookie and the proof, and end when they are ended', async () => {
    const { server, ask, store, operator } = await operated()
    const begun = await ask('POST', '/session', undefined, ORIGIN)
    expect(begun).toMatchObject({ status: 201, body: { identity: operator, mayChange: true } })
    const [cookie = '', ...rules] = String(begun.headers['set-cookie']).split('; ')
    expect(rules).toEqual(['HttpOnly', 'SameSite=Strict', 'Max-Age=43200'])
    const proof = String(begun.body['proof'])
    const page = asker(server, ORIGIN)
    const both = { cookie, 'adit-session': proof }
    expect((await page('GET', '/session', undefined, both)).body).toMatchObject({
      identity: operator,
      ends: expect.any(String),
    })
    const made = await page('POST', '/tokens', { may: ['admin'] }, both)
    expect(made.status).toBe(201)
    expect(await lastEvent(store, 'token.created')).toMatchObject({ by: operator })
    for (const half of [{ cookie }, { 'adit-session': proof }, { cookie, 'adit-session': 'A' }]) {
      expect((await page('GET', '/tokens', undefined, half)).status).toBe(401)
    }
    // A service of the same host may set cookies of the name.
    const tossed = { ...both, cookie: `${cookie.split('=')[0]}=x; ${cookie}` }
    expect((await page('GET', '/tokens', undefined, tossed)).status).toBe(200)
    const foreign = { ...both, origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }
    expect((await page('DELETE', '/session', undefined, foreign)).body.code).toBe('origin-refused')
    const ended = await page('DELETE', '/session', undefined, both)
    expect(String(ended.headers['set-cookie'])).toContain('Max-Age=0')
    expect((await page('GET', '/session', undefined, both)).status).toBe(401)
    expect(await lastEvent(store, 'session.closed')).toMatchObject({ by: operator })
  })

  test('end with the token that began them, and are secure where the page is', async () => {
    const { server, ask, store } = await operated()
    const { text, id } = await storedToken(store.tokens, { may: ['admin'], endpoints: [] })
    const begun = await ask('POST', '/session', undefined, {
      origin: 'https://localhost',
      authorization: `Bearer ${text}`,
    })
    const [cookie = '', ...rules] = String(begun.headers['set-cookie']).split('; ')
    expect(rules).toContain('Secure')
    const both = { cookie, 'adit-session': String(begun.body['proof']) }
    const page = asker(server)
    expect((await page('GET', '/tokens', undefined, both)).status).toBe(200)
    await ask('DELETE', `/tokens/${id}`)
    expect((await page('GET', '/tokens', undefined, both)).status).toBe(401)
    const without = await page('POST', '/session', undefined, both)
    expect(without.body.code).toBe('unauthorized')
  })

  test('are as many and as old as their limits say', () => {
    let now = 0
    const sessions = new ConsoleSessions({ max: 2, lifeMs: 100, idleMs: 60 }, () => now)
    const begin = (token: string) => {
      const { cookie, proof } = sessions.begin({ token }, 1, false)
      return { cookie: cookie.split(';')[0] ?? '', 'adit-session': proof }
    }
    const [one, two, three] = [begin('one'), begin('two'), begin('three')]
    expect(sessions.find(one, 1)).toBeUndefined()
    now = 50
    expect(sessions.find(three, 1)?.credentials).toEqual({ token: 'three' })
    expect(sessions.find(three, 2)).toBeUndefined() // of another server of the host
    now = 70
    expect(sessions.find(two, 1)).toBeUndefined() // not used
    expect(sessions.find(three, 1)?.credentials).toEqual({ token: 'three' })
    now = 100
    expect(sessions.find(three, 1)).toBeUndefined()
    expect(sessions.size).toBe(0)
  })

  test('of one token end for others of it, not those of another', () => {
    const sessions = new ConsoleSessions({ max: 3, maxOfToken: 2 })
    const begin = (token: string) => {
      const { cookie, proof } = sessions.begin({ token }, 1, false)
      return { cookie: cookie.split(';')[0] ?? '', 'adit-session': proof }
    }
    const all = [begin('one'), begin('two'), begin('two'), begin('two')]
    const found = all.map((one) => sessions.find(one, 1)?.credentials)
    expect(found).toEqual([{ token: 'one' }, undefined, { token: 'two' }, { token: 'two' }])
  })
})

describe('signing in with a provider', () => {
  const redirect = 'http://localhost/console/'
  const ORIGIN = { origin: 'http://localhost', 'sec-fetch-site': 'same-origin' }

  async function withProvider(limits: { maxAtOnce?: number } = {}) {
    const provider = await bentProvider()
    const oidc = new OidcSignIn(provider.options, {
      logger: silent,
      limits: { timeoutMs: 60_000, ...limits },
    })
    const { server, store } = await operated({ oidc })
    return { provider, store, page: asker(server, ORIGIN) }
  }

  test('begins a session of that person, who is in the audit log', async () => {
    const { provider, store, page } = await withProvider()
    const host = new URL(provider.issuer).host
    expect((await page('GET', '/sign-in')).body).toMatchObject({ provider: host })
    const begun = await page('POST', '/sign-in/oidc', { redirect })
    const { url, pending } = begun.body as unknown as { url: string; pending: string }
    const answer = provider.authorize(url)
    const signed = await page('POST', '/sign-in', { pending, answer })
    expect(signed).toMatchObject({ status: 201, body: { identity: 'oidc:ada', mayChange: true } })
    const [cookie = '', ...rules] = String(signed.headers['set-cookie']).split('; ')
    expect(rules).toEqual(['HttpOnly', 'SameSite=Strict', 'Max-Age=43200'])
    const proof = String(signed.body['proof'])
    const both = { cookie, 'adit-session': proof }
    expect((await page('POST', '/tokens', { may: ['admin'] }, both)).status).toBe(201)
    expect(await lastEvent(store, 'session.opened')).toMatchObject({ by: 'oidc:ada' })
    expect(await lastEvent(store, 'token.created')).toMatchObject({ by: 'oidc:ada' })
    for (const half of [{ cookie }, { 'adit-session': proof }, { cookie, 'adit-session': 'A' }]) {
      expect((await page('GET', '/tokens', undefined, half)).status).toBe(401)
    }
    // The code is used up, and the failure is noted.
    const again = await page('POST', '/sign-in', { pending, answer })
    expect(again.body.code).toBe('sign-in-refused')
    expect(again.headers['set-cookie']).toBeUndefined()
    expect(await lastEvent(store, 'auth.failed')).toMatchObject({ why: expect.any(String) })
    await page('DELETE', '/session', undefined, both)
    expect((await page('GET', '/tokens', undefined, both)).status).toBe(401)
    expect(await lastEvent(store, 'session.closed')).toMatchObject({ by: 'oidc:ada' })
  })

  test('says what is wrong, and sends nobody to another site', async () => {
    const { provider, page } = await withProvider({ maxAtOnce: 0 })
    for (const wrong of [
      'https://evil.example/console/',
      'http://localhost.evil.example/console/',
      'http://localhost:3000/console/',
      'https://localhost/console/',
      'http://a:b@localhost/console/',
      'http://localhost/console/?next=evil',
      'http://localhost/console/#/tokens',
      'javascript:alert(1)',
      '//localhost/console/',
      '',
    ]) {
      const refused = await page('POST', '/sign-in/oidc', { redirect: wrong })
      expect([wrong, refused.body.code]).toEqual([wrong, 'body-invalid'])
    }
    const foreign = { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' }
    const sent = await page('POST', '/sign-in/oidc', { redirect }, foreign)
    expect(sent.body.code).toBe('origin-refused')
    const invalid = await page('POST', '/sign-in', { pending: '', answer: 'state=a&code=b' })
    expect(invalid.body.code).toBe('sign-in-invalid')
    const begun = await page('POST', '/sign-in/oidc', { redirect })
    const { url, pending } = begun.body as unknown as { url: string; pending: string }
    const answer = provider.authorize(url)
    const busy = await page('POST', '/sign-in', { pending, answer })
    expect(busy.body.code).toBe('sign-in-busy')
  })

  test('is not possible without a provider, or while it is away', async () => {
    const { server } = await operated()
    const page = asker(server, ORIGIN)
    expect((await page('GET', '/sign-in')).body).toMatchObject({ provider: null })
    expect((await page('POST', '/sign-in/oidc', { redirect })).body.code).toBe('not-found')
    const { provider, page: other } = await withProvider()
    provider.bends = { answer: (_, response) => response.destroy().destroyed }
    const away = await other('POST', '/sign-in/oidc', { redirect })
    expect(away.body.code).toBe('provider-unavailable')
    // Nothing else is open.
    expect((await other('GET', '/sign-in/x')).status).toBe(404)
    expect((await other('GET', '/tokens')).body.code).toBe('unauthorized')
  })
})

describe('tokens', () => {
  test('are made, and shown whole this once', async () => {
    const { ask, store, operator } = await operated()
    const made = await ask('POST', '/tokens', {
      name: 'printers',
      endpoints: ['pc*'],
      may: ['listen'],
      expires: '30d',
    })
    expect(made.status).toBe(201)
    const { token, id } = made.body as unknown as { token: string; id: string }
    expect(token).toMatch(/^adit_/)
    expect(made.headers['location']).toBe(`/api/v1/tokens/${id}`)
    const shown = await ask('GET', `/tokens/${id}`)
    const { token: _, ...rest } = made.body as Record<string, unknown>
    expect(shown.body).toEqual(rest)
    expect(shown.headers['etag']).toBe(made.headers['etag'])
    expect(shown.body).toMatchObject({ may: ['listen'], endpoints: ['pc*'], state: 'good' })
    const all = JSON.stringify([
      (await ask('GET', '/tokens')).body,
      (await ask('GET', '/audit')).body,
    ])
    expect(all).not.toContain(token.slice(-30))
    expect(await lastEvent(store, 'token.created')).toMatchObject({
      token: id,
      by: operator,
      remoteAddress: '127.0.0.1',
    })
  })

  test('open what they are made for', async () => {
    const { ask, server } = await operated()
    const { body } = await ask('POST', '/tokens', { may: ['admin'] })
    const other = asker(server, { authorization: `Bearer ${String(body['token'])}` })
    expect((await other('GET', '/tokens')).status).toBe(200)
  })

  test('get another scope, once per version', async () => {
    const { ask, store, operator } = await operated()
    const { id } = await storedToken(store.tokens)
    const { headers } = await ask('GET', `/tokens/${id}`)
    const tag = String(headers['etag'])
    const first = await ask('PATCH', `/tokens/${id}`, { endpoints: ['a*'] }, { 'if-match': tag })
    expect(first.body).toMatchObject({ endpoints: ['a*'], may: ['listen', 'connect'] })
    const second = await ask('PATCH', `/tokens/${id}`, { endpoints: ['b*'] }, { 'if-match': tag })
    expect(second).toMatchObject({ status: 412, body: { code: 'precondition-failed' } })
    expect(store.tokens.find(id)?.endpoints).toEqual(['a*'])
    const third = await ask('PATCH', `/tokens/${id}`, { name: 'lab' }, { 'if-match': '*' })
    expect(third.body).toMatchObject({ name: 'lab', endpoints: ['a*'] })
    expect(await lastEvent(store, 'token.changed')).toMatchObject({
      token: id,
      endpoints: 'a*',
      by: operator,
    })
  })

  test('that are revoked stay in the list and cannot be changed', async () => {
    const { ask, store, operator } = await operated()
    const { id } = await storedToken(store.tokens)
    expect((await ask('DELETE', `/tokens/${id}`, undefined, { 'if-match': '"x"' })).status).toBe(
      412,
    )
    const gone = await ask('DELETE', `/tokens/${id}`)
    expect(gone.body).toMatchObject({ id, state: 'revoked' })
    expect((await ask('DELETE', `/tokens/${id}`)).body).toEqual(gone.body)
    expect((await ask('PATCH', `/tokens/${id}`, { name: 'x' })).body.code).toBe('token-revoked')
    const { body } = await ask('GET', '/tokens?state=revoked')
    expect(body.items).toEqual([gone.body])
    expect(await lastEvent(store, 'token.revoked')).toMatchObject({ token: id, by: operator })
    const events = await store.audit.read({ event: 'token.revoked' })
    expect(events).toHaveLength(1)
  })

  test.each(['PATCH', 'DELETE'])(
    'are changed once per version, also by %s and DELETE at once',
    async (method) => {
      const { ask, store } = await operated()
      const { tokens } = store
      const { id } = await storedToken(tokens)
      const { headers } = await ask('GET', `/tokens/${id}`)
      const match = { 'if-match': String(headers['etag']) }
      const arrive = bothArrived()
      const rescope = tokens.rescope.bind(tokens)
      const revoke = tokens.revoke.bind(tokens)
      tokens.rescope = async (...about) => {
        await arrive()
        return await rescope(...about)
      }
      tokens.revoke = async (...about) => {
        await arrive()
        return await revoke(...about)
      }
      const answers = await Promise.all([
        ask(method, `/tokens/${id}`, method === 'PATCH' ? { name: 'lab' } : undefined, match),
        ask('DELETE', `/tokens/${id}`, undefined, match),
      ])
      const [done = 0, refused] = answers.map(({ status }) => status).toSorted((a, b) => a - b)
      expect(done).toBe(200)
      // A token that was revoked cannot be changed, whatever its version.
      expect([412, ...(method === 'PATCH' ? [409] : [])]).toContain(refused)
    },
  )

  test('keep both of two changes at once that are about different fields', async () => {
    const { ask, store } = await operated()
    const { tokens } = store
    const { id } = await storedToken(tokens, { endpoints: ['a*'] })
    const arrive = bothArrived()
    const rescope = tokens.rescope.bind(tokens)
    tokens.rescope = async (...about) => {
      await arrive()
      return await rescope(...about)
    }
    const answers = await Promise.all([
      ask('PATCH', `/tokens/${id}`, { name: 'lab' }),
      ask('PATCH', `/tokens/${id}`, { endpoints: ['b*'] }),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(tokens.find(id)).toMatchObject({ name: 'lab', endpoints: ['b*'] })
  })

  test('are not made of a body that is not as documented', async () => {
    const { ask, store } = await operated()
    const count = store.tokens.list().length
    const refusals: readonly (readonly [unknown, string, string | undefined])[] = [
      [{ may: ['root'] }, 'body-invalid', 'may[0]'],
      [{ endpoints: 'web' }, 'body-invalid', 'endpoints'],
      [{ endpoints: ['a b'] }, 'body-invalid', 'endpoints'],
      [{ endpoints: ['a\u0001'] }, 'body-invalid', 'endpoints[0]'],
      [{ name: 'x'.repeat(201), endpoints: ['*'] }, 'body-invalid', 'name'],
      [{ endpoints: ['*'], expires: '30' }, 'body-invalid', 'expires'],
      [{ endpoints: ['*'], expires: '1ms' }, 'body-invalid', 'expires'],
      [{ endpoints: ['*'], colour: 'red' }, 'body-invalid', 'colour'],
      [{ endpoints: ['*'], constructor: 1 }, 'body-invalid', 'constructor'],
      [[], 'body-invalid', undefined],
      ['{', 'body-invalid', undefined],
      ['', 'body-invalid', undefined],
      [{}, 'endpoints-missing', 'endpoints'],
      [{ endpoints: ['*'], replaces: 'nosuchid' }, 'not-found', undefined],
      ['x'.repeat(65_537), 'body-too-large', undefined],
    ]
    for (const [body, code, field] of refusals) {
      const refused = await ask('POST', '/tokens', body)
      expect([refused.body.code, refused.body['field']]).toEqual([code, field])
    }
    expect(store.tokens.list()).toHaveLength(count)
  })

  test('that replace another keep its identity, and are of its tenant', async () => {
    const { ask, store } = await operated()
    const { id } = await storedToken(store.tokens, { tenant: 'acme' })
    const next = await ask('POST', '/tokens', { endpoints: ['*'], replaces: id })
    expect(next.body).toMatchObject({ identity: `token:${id}`, tenant: 'acme' })
    const wish = { endpoints: ['*'], replaces: id, tenant: 'beta' }
    expect((await ask('POST', '/tokens', wish)).body.code).toBe('tenant-differs')
    expect((await ask('GET', '/tokens?tenant=acme')).body.items).toHaveLength(2)
  })

  test('come in pages that neither repeat nor leave out any', async () => {
    const { ask, store } = await operated()
    for (let count = 0; count < 6; count++) await storedToken(store.tokens)
    const found: unknown[] = []
    let after = ''
    for (;;) {
      const { body } = await ask('GET', `/tokens?limit=3${after}`)
      expect(body.items.length).toBeLessThanOrEqual(3)
      found.push(...body.items.map(({ id }) => id))
      // One that is added meanwhile is at the end.
      if (found.length === 3) await storedToken(store.tokens)
      if (body.next === undefined) break
      after = `&after=${body.next}`
    }
    expect(found).toEqual(store.tokens.list().map(({ id }) => id))
    expect(found).toHaveLength(8)
  })
})

describe('reservations', () => {
  test('are made for an identity, listed and released', async () => {
    const { ask, store, operator } = await operated()
    const made = await ask('PUT', '/reservations/web', { identity: 'token:abc' })
    expect(made).toMatchObject({
      status: 201,
      body: { endpoint: 'web', identity: 'token:abc', kind: 'http', tenant: '' },
    })
    expect(await ask('PUT', '/reservations/web', { identity: 'token:abc' })).toMatchObject({
      status: 200,
      body: made.body,
    })
    expect((await ask('GET', '/reservations/web')).body).toEqual(made.body)
    await ask('PUT', '/reservations/web?tenant=acme', { identity: 'token:abc', kind: 'tcp' })
    const listed = async (query: string): Promise<unknown> =>
      (await ask('GET', `/reservations${query}`)).body.items.map(({ tenant }) => tenant)
    expect(await listed('')).toEqual(['', 'acme'])
    expect(await listed('?tenant=acme')).toEqual(['acme'])
    expect(await listed('?identity=token:other')).toEqual([])
    expect((await ask('DELETE', '/reservations/web')).body).toEqual(made.body)
    expect((await ask('DELETE', '/reservations/web')).body.code).toBe('not-found')
    for (const event of ['name.reserved', 'name.released']) {
      expect(await lastEvent(store, event)).toMatchObject({ endpoint: 'web', by: operator })
    }
  })

  test('of another identity are not taken over', async () => {
    const { ask } = await operated()
    await ask('PUT', '/reservations/web', { identity: 'token:abc' })
    expect(await ask('PUT', '/reservations/web', { identity: 'token:def' })).toMatchObject({
      status: 409,
      body: { code: 'name-taken', holder: 'reservation', heldBy: 'token:abc' },
    })
  })

  test('are released only as their reader has seen them', async () => {
    const { ask } = await operated()
    const { headers } = await ask('PUT', '/reservations/web', { identity: 'token:abc' })
    await ask('DELETE', '/reservations/web')
    await ask('PUT', '/reservations/web', { identity: 'token:def' })
    const match = { 'if-match': String(headers['etag']) }
    expect((await ask('DELETE', '/reservations/web', undefined, match)).status).toBe(412)
    expect((await ask('PUT', '/reservations/none', { identity: 'a' }, match)).status).toBe(412)
    expect((await ask('GET', '/reservations/web')).body).toMatchObject({ identity: 'token:def' })
  })

  test.each(['PUT', 'DELETE'])(
    'are changed once per version, also by %s at once',
    async (method) => {
      const { ask, store } = await operated()
      const { headers } = await ask('PUT', '/reservations/web', { identity: 'a' })
      const match = { 'if-match': String(headers['etag']) }
      const { reservations } = store
      const arrive = bothArrived()
      const reserve = reservations.reserve.bind(reservations)
      const release = reservations.release.bind(reservations)
      reservations.reserve = async (...about) => {
        await arrive()
        return await reserve(...about)
      }
      reservations.release = async (...about) => {
        await arrive()
        return await release(...about)
      }
      const change = { identity: 'a', kind: 'tcp' }
      const answers = await Promise.all([
        ask('PUT', '/reservations/web', change, match),
        ask(method, '/reservations/web', method === 'PUT' ? change : undefined, match),
      ])
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 412])
    },
  )

  test('are released once: for a second request at the same time there is none', async () => {
    const { ask, store } = await operated()
    await ask('PUT', '/reservations/web', { identity: 'a' })
    const { reservations } = store
    const arrive = bothArrived()
    const release = reservations.release.bind(reservations)
    reservations.release = async (...about) => {
      await arrive()
      return await release(...about)
    }
    const answers = await Promise.all([
      ask('DELETE', '/reservations/web'),
      ask('DELETE', '/reservations/web'),
    ])
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 404])
  })

  test('are bounded, and have names that endpoints can have', async () => {
    const { ask } = await operated({}, { maxPerIdentity: 2 })
    for (const name of ['one', 'two']) await ask('PUT', `/reservations/${name}`, { identity: 'a' })
    expect((await ask('PUT', '/reservations/more', { identity: 'a' })).body.code).toBe(
      'limit-reached',
    )
    expect((await ask('PUT', '/reservations/a%2Fb', { identity: 'b' })).body.code).toBe(
      'endpoint-invalid',
    )
    expect((await ask('GET', '/reservations/%ff')).body.code).toBe('not-found')
    const { body } = await ask('GET', '/reservations')
    expect(body.items).toHaveLength(2)
    expect(body.next).toBe(undefined)
  })

  test('are not made where they would be lost', async () => {
    const server = await startServer({}, [], undefined, undefined, { store: memoryStore(silent) })
    onTestFinished(() => server.destroy())
    const { body } = await asker(server)('PUT', '/reservations/web', { identity: 'a' })
    expect(body.code).toBe('not-durable')
  })
})

describe('domains', () => {
  const SHOP = 'shop.example.net'
  const ALICE = { identity: 'token:aaaaaaaa', endpoint: 'shop' }

  async function proving(limits: DomainLimits = {}) {
    const proved = new Set<string>()
    const txt = async (domain: string, value: string) =>
      proved.has(domain) || proved.has(value) ? 'proved' : 'missing'
    const domainProof = { checks: { txt, http: txt } }
    return { ...(await operated({ domainProof }, {}, limits)), proved }
  }

  test('are asked for, checked, listed and taken away', async () => {
    const { ask, store, operator, proved } = await proving()
    const asked = await ask('PUT', '/domains/Shop.Example.net', ALICE)
    expect(asked.status).toBe(201)
    const record = { name: `_adit-challenge.${SHOP}`, type: 'TXT', value: expect.any(String) }
    const claim = { tenant: '', domain: SHOP, state: 'pending', challenge: 'txt', record, ...ALICE }
    expect(asked.body).toMatchObject(claim)
    const other = { identity: 'token:bbbbbbbb', endpoint: 'other', challenge: 'http' }
    const file = { url: `http://${SHOP}/.well-known/adit-challenge` }
    expect((await ask('PUT', `/domains/${SHOP}`, other)).body).toMatchObject({ ...other, file })
    // Several ask for it, and none has proved it.
    expect((await ask('GET', `/domains/${SHOP}`)).body).toMatchObject({
      code: 'query-invalid',
      field: 'identity',
    })
    const own = `/domains/${SHOP}?identity=${ALICE.identity}`
    expect((await ask('GET', own)).body).toEqual(asked.body)

    const { value } = asked.body['record'] as { readonly value: string }
    proved.add(value)
    const checked = await ask('POST', `/domains/${SHOP}/check?identity=${ALICE.identity}`)
    expect(checked.body).toMatchObject({ state: 'proved', ...ALICE })
    expect((await ask('GET', `/domains/${SHOP}`)).body).toMatchObject(ALICE)
    expect((await ask('PUT', `/domains/${SHOP}`, other)).body).toMatchObject({
      code: 'domain-taken',
      heldBy: ALICE.identity,
    })
    const again = await ask('PUT', `/domains/${SHOP}`, { ...ALICE, endpoint: 'web' })
    expect([again.status, again.body['endpoint']]).toEqual([200, 'web'])
    const fixed = { ...ALICE, challenge: 'http' }
    expect((await ask('PUT', `/domains/${SHOP}`, fixed)).body.code).toBe('challenge-fixed')
    expect((await ask('GET', '/domains?state=pending')).body.items).toMatchObject([other])
    const page = await ask('GET', '/domains?limit=1')
    expect(page.body.items).toMatchObject([{ state: 'proved', endpoint: 'web' }])
    const rest = await ask('GET', `/domains?limit=1&after=${page.body.next}`)
    expect([rest.body.items.length, rest.body.next]).toEqual([1, undefined])

    const former = await ask('DELETE', own)
    expect(former.body).toMatchObject({ ...ALICE, endpoint: 'web', state: 'proved' })
    expect((await ask('DELETE', own)).body.code).toBe('not-found')
    await store.audit.flush()
    const audit = (await store.audit.read({ event: 'domain.removed' })).at(-1)
    expect(audit?.fields).toMatchObject({ domain: SHOP, by: operator, identity: ALICE.identity })
  })

  test('are changed only as their reader has seen them', async () => {
    const { ask, proved } = await proving()
    const path = `/domains/${SHOP}`
    const put = async (endpoint: string, tag: unknown) =>
      (await ask('PUT', path, { ...ALICE, endpoint }, { 'if-match': String(tag) })).status
    expect(await put('shop', '*')).toBe(412)
    const { headers } = await ask('PUT', path, ALICE)
    const both = await Promise.all([put('one', headers['etag']), put('two', headers['etag'])])
    expect(both.toSorted((a, b) => a - b)).toEqual([200, 412])
    const before = (await ask('GET', path)).headers['etag']
    proved.add(SHOP)
    await ask('POST', `${path}/check`)
    const stale = await ask('DELETE', path, undefined, { 'if-match': String(before) })
    expect([stale.status, stale.body.code]).toEqual([412, 'precondition-failed'])
    const now = (await ask('GET', path)).headers['etag']
    expect((await ask('DELETE', path, undefined, { 'if-match': String(now) })).status).toBe(200)
  })

  test('that cannot be had are refused with a code', async () => {
    const { ask } = await proving({ maxPerIdentity: 1 })
    const refused = async (domain: string, body: object) =>
      (await ask('PUT', `/domains/${domain}`, { ...ALICE, ...body })).body.code
    expect(await refused('a%20b', {})).toBe('domain-invalid')
    expect((await ask('GET', '/domains/1.2.3.4')).body.code).toBe('domain-invalid')
    expect(await refused('github.io', {})).toBe('domain-refused')
    expect(await refused('*.example.net', { challenge: 'http' })).toBe('challenge-refused')
    expect(await refused(SHOP, { endpoint: 'a/b' })).toBe('endpoint-invalid')
    expect(await refused(SHOP, {})).toBe(undefined)
    expect(await refused(`a.${SHOP}`, {})).toBe('limit-reached')
    for (let count = 0; count < 9; count++) await ask('POST', `/domains/${SHOP}/check`)
    expect((await ask('POST', `/domains/${SHOP}/check`)).body.code).toBe('check-limit')
  })

  test('of a tenant are for its own callers, and no others are', async () => {
    const { ask, server, store } = await proving()
    const wish = { may: ['admin'], endpoints: [], tenant: 'acme' } as const
    const { text: token } = await storedToken(store.tokens, wish)
    const acme = asker(server, { authorization: `Bearer ${token}` })
    await ask('PUT', `/domains/other.example.net`, ALICE)
    await ask('PUT', `/domains/${SHOP}?tenant=globex`, { ...ALICE, identity: 'token:gggggggg' })
    const own = await acme('PUT', `/domains/${SHOP}`, ALICE)
    expect(own.body).toMatchObject({ tenant: 'acme', ...ALICE })
    expect((await acme('GET', '/domains')).body.items).toEqual([own.body])
    expect((await acme('GET', `/domains/${SHOP}`)).body).toEqual(own.body)
    expect((await acme('GET', '/domains/other.example.net')).body.code).toBe('not-found')
    expect((await acme('DELETE', '/domains/other.example.net')).body.code).toBe('not-found')
    expect((await acme('GET', '/domains?tenant=globex')).body.code).toBe('tenant-refused')
    expect((await acme('GET', '/reservations')).body.code).toBe('tenant-refused')
    expect((await acme('DELETE', `/domains/${SHOP}?tenant=acme`)).status).toBe(200)
    expect((await ask('GET', '/domains')).body.items).toHaveLength(2)
  })
})

test('the audit log is read in pages, newest first', async () => {
  const { ask, store } = await operated()
  for (const count of [1, 2, 3, 4, 5]) store.audit.write('name.lost', { count })
  const first = await ask('GET', '/audit?limit=2&event=name.lost')
  const counts = ({ body }: Answer): unknown => body.items.map(({ count }) => count)
  expect(counts(first)).toEqual([5, 4])
  store.audit.write('name.lost', { count: 6 })
  const second = await ask('GET', `/audit?limit=2&event=name.lost&after=${first.body.next}`)
  expect(counts(second)).toEqual([3, 2])
  const third = await ask('GET', `/audit?limit=2&event=name.lost&after=${second.body.next}`)
  expect(counts(third)).toEqual([1])
  expect(third.body.next).toBe(undefined)
  const later = new Date(Date.now() + 60_000).toISOString()
  expect((await ask('GET', `/audit?since=${later}`)).body.items).toEqual([])
  const zoned = encodeURIComponent('2026-01-31T12:00:00+02:00')
  expect((await ask('GET', `/audit?since=${zoned}&event=name.lost`)).body.items).toHaveLength(6)
  for (const query of [
    'after=x',
    'since=yesterday',
    'since=10', // to Date.parse a month of 2001
    'since=2026-01-31T12:00:00', // of which zone?
    'since=2026-13-31T12:00:00Z',
    'event=other',
    'limit=0',
    'limit=1001',
    'a=1',
    'limit=1&limit=2',
  ]) {
    expect((await ask('GET', `/audit?${query}`)).body).toMatchObject({
      code: 'query-invalid',
      field: query.split('=')[0],
    })
  }
  expect((await ask('GET', '/tokens?after=%21')).body.code).toBe('query-invalid')
})

test('endpoints, agents, ports and nodes are listed as status shows them', async () => {
  await using path = await tunnel({ http: (_, res) => res.end('ok'), hop: false })
  const ask = asker(path.server)
  const [node] = (await ask('GET', '/nodes')).body.items
  expect(node).toMatchObject({ local: true, status: 'active', sessions: 1 })
  expect((await ask('GET', '/endpoints')).body.items).toEqual([
    {
      endpoint: 'web',
      tenant: '',
      sessions: 1,
      nodes: [{ node: node?.['id'], sessions: 1 }],
      urls: [`http://web.localhost:${path.port}`],
      reservedFor: null,
      state: 'unknown',
      requests: Array.from({ length: 30 }, () => 0),
    },
  ])
  expect((await ask('GET', '/agents')).body).toMatchObject({
    items: [{ node: node?.['id'], endpoint: 'web', protocol: 'adit', remoteAddress: '127.0.0.1' }],
    unreachable: [],
  })
  expect((await ask('GET', '/ports')).body).toEqual({ items: [], unreachable: [] })
})

test('an endpoint tells why its service is not reachable', async () => {
  await using path = await tunnel({
    http: (_, response) => response.end('ok'),
    visitors: { deny: ['203.0.113.0/24'] },
    edge: { trustedProxies: [parseAddressBlock('127.0.0.1')] },
    hop: false,
  })
  const ask = asker(path.server)
  const visit = async (target: string, from = '192.0.2.7') =>
    await exchangeRaw(
      path.port,
      visitorRequest(`GET ${target}`, 'connection: close', `x-forwarded-for: ${from}`),
    )
  const stepsOf = async (name = 'web') => {
    const { body } = await ask('GET', `/endpoints/${name}`)
    const steps = body['steps'] as readonly { step: string; state: string; who?: string }[]
    return { body, states: steps.map(({ step, state }) => `${step} ${state}`), steps }
  }
  expect((await stepsOf()).states).toEqual(['name ok', 'agent ok', 'service unknown', 'rules ok'])
  expect((await visit('/')).status).toBe(200)
  expect((await stepsOf()).body).toMatchObject({
    state: 'reachable',
    failures: [],
    agents: [expect.stringMatching(/^[\da-f]{20}$/)],
  })
  expect((await visit('/secret?token=abc', '203.0.113.9')).status).toBe(403)
  await path.service.close()
  expect((await visit('/orders?token=abc')).status).toBe(502)
  const { body, states, steps } = await stepsOf()
  expect(states).toEqual(['name ok', 'agent ok', 'service bad', 'rules unchecked'])
  expect(steps[2]).toMatchObject({ who: 'agent', text: expect.stringContaining('refuses') })
  expect(body).toMatchObject({
    state: 'down',
    summary: expect.stringMatching(/^Not reachable: the service refuses connections/),
    failures: [
      { status: 502, code: 'service_refused', method: 'GET', path: '/orders' },
      { status: 403, code: 'address_denied', path: '/secret' },
    ],
  })
  const history = body['history'] as Readonly<Record<string, readonly number[]>>
  const sum = (name: string): number => (history[name] ?? []).reduce((all, one) => all + one, 0)
  expect([sum('requests'), sum('errors'), sum('rejected')]).toEqual([3, 1, 1])
  expect((await ask('GET', '/endpoints')).body.items[0]).toMatchObject({ state: 'down' })
  await path.agent[Symbol.asyncDispose]()
  await until(() => path.server.registry.countLocal({ tenant: '', name: 'web' }) === 0)
  expect((await stepsOf()).states[0]).toBe('name bad')
  expect((await ask('GET', '/endpoints/other')).body.code).toBe('not-found')
  const { body: server } = await ask('GET', '/server')
  expect(server).toMatchObject({ state: 'ready', requests: 3, version: expect.any(String) })
  expect((await ask('GET', '/limits')).body.items).toContainEqual({
    limit: 'visitors of endpoints with limits',
    count: 0,
    setting: 'endpoints[].limits',
  })
})

test('agents are drained and disconnected, and who did it is in the audit log', async () => {
  const { server, ask, store, operator } = await operated()
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const made = await ask('POST', '/tokens', { may: ['listen', 'connect'], endpoints: ['*'] })
  const agent = new Agent({ url, token: String(made.body['token']), connections: 1 })
  onTestFinished(async () => await agent[Symbol.asyncDispose]())
  const listener = agent.listen('web', { kind: 'tcp' })
  await listener.ready()
  // Of TCP: no visitor can open it by its name.
  expect((await ask('GET', '/endpoints')).body.items).toMatchObject([{ endpoint: 'web', urls: [] }])
  const items = async () => (await ask('GET', '/agents')).body.items
  const sessions = async () => (await items()).map(({ session }) => String(session))
  const [first] = await sessions()
  const id = String((await items())[0]?.['agent'])
  expect((await ask('POST', `/agents/${id}/drain`)).body).toEqual({ sessions: 1 })
  // It has another session, then the first one is gone.
  await until(async () => (await sessions()).every((one) => one !== first))
  expect(await lastEvent(store, 'agent.drained')).toMatchObject({ agent: id, by: operator })
  await until(async () => (await sessions()).length === 1)
  const [second] = await sessions()
  expect((await ask('DELETE', `/agents/${id}`)).body).toEqual({ sessions: 1 })
  await until(async () => (await sessions()).every((one) => one !== second))
  expect(await lastEvent(store, 'agent.disconnected')).toMatchObject({ sessions: 1, by: operator })
  for (const [method, way] of [
    ['POST', '/agents/nobody/drain'],
    ['DELETE', '/agents/nobody'],
  ] as const) {
    expect((await ask(method, way)).body.code).toBe('not-found')
  }
})

test('an agent that announces the name of another identity cannot be taken for that one', async () => {
  const { server, ask } = await operated()
  const url = `http://127.0.0.1:${server.listeners.upstream.bound[0]?.port}`
  const connect = async (endpoint: string, peer: string, token: string): Promise<void> => {
    const agent = new Agent({ url, token, connections: 2, peer })
    onTestFinished(async () => await agent[Symbol.asyncDispose]())
    await agent.listen(endpoint).ready()
    await until(() => agent.sessions === 2)
  }
  const token = async (endpoints: string): Promise<string> => {
    const made = await ask('POST', '/tokens', { may: ['listen'], endpoints: [endpoints] })
    return String(made.body['token'])
  }
  const rows = async () => {
    const { items } = (await ask('GET', '/agents')).body
    const of = (endpoint: string) => items.filter((item) => item['endpoint'] === endpoint)
    return { ours: of('ours'), theirs: of('theirs') }
  }
  await connect('ours', 'printer-7', await token('ours'))
  const spare = await token('theirs')
  await connect('theirs', 'printer-7', spare)
  const { ours, theirs } = await until(async () => {
    const both = await rows()
    return both.ours.length === 2 && both.theirs.length === 2 ? both : undefined
  })
  const ids = [...ours, ...theirs].map(({ agent }) => String(agent))
  // The two sessions of an agent are one agent, and the name that it has announced is no id.
  expect(new Set(ids).size).toBe(2)
  expect(ids).not.toContain('printer-7')
  expect((await ask('DELETE', '/agents/printer-7')).body.code).toBe('not-found')
  // Nor is an id that the server has given, when another agent announces it.
  await connect('theirs', ids[0] ?? '', spare)

  expect((await ask('DELETE', `/agents/${ids[0]}`)).body).toEqual({ sessions: 2 })
  const sessionsOf = (items: readonly { readonly [key: string]: unknown }[]) =>
    items.map(({ session }) => session)
  const before = sessionsOf(ours)
  await until(async () => sessionsOf((await rows()).ours).every((one) => !before.includes(one)))
  expect(sessionsOf((await rows()).theirs)).toEqual(expect.arrayContaining(sessionsOf(theirs)))
})

test('settings are listed with where they come from, and without their secrets', async () => {
  using directory = temporaryDirectory()
  const file = directory.write('server.yaml', 'admin:\n  token: hunter2hunter2\n')
  const env = { ADIT_TRACING_HEADERS: 'authorization=hunter3' }
  const loaded = await loadSettings(settings, { cwd: directory.path, files: [file], env })
  expect(loaded.problems).toEqual([])
  const { ask } = await operated({ configuration: () => loaded.values })
  const { body } = await ask('GET', '/configuration?limit=1000')
  expect(JSON.stringify(body)).not.toMatch(/hunter/)
  const found = new Map(body.items.map((item) => [item['key'], item]))
  expect(found.get('admin.token')).toMatchObject({ origin: `${file}:2:10` })
  expect(found.get('tracing.headers')).toMatchObject({ origin: 'variable ADIT_TRACING_HEADERS' })
  expect(found.get('proxy.bind_addr')).toMatchObject({ value: ':8000', origin: 'default' })
  expect((await ask('GET', '/certificates')).body.items).toEqual([])
  expect((await ask('GET', '/accesses')).body.items).toEqual([])
})

describe('the stream of changes', () => {
  /** Opens a stream. @returns what reads its next event, and what ends it. */
  async function follow(server: Server, lastEventId?: string) {
    const port = server.listeners.admin.bound[0]?.port ?? 0
    const asked = request({
      port,
      path: '/api/v1/events',
      agent: false,
      headers: { host: 'localhost', ...(lastEventId && { 'last-event-id': lastEventId }) },
    }).end()
    asked.on('error', () => {})
    onTestFinished(() => void asked.destroy())
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    response.on('error', () => {})
    const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    let held = ''
    const next = async () => {
      while (!/^id: [^]*\n\n/.test(held)) {
        held = (held + String((await chunks.next()).value)).replace(/^:[^\n]*\n\n/, '')
      }
      const [event = '', ...rest] = held.split('\n\n')
      held = rest.join('\n\n')
      const [, id = '', data = '{}'] = /^id: (\S+)\nevent: changed\ndata: (.*)$/.exec(event) ?? []
      return { id, topics: (JSON.parse(data) as { topics: string[] }).topics }
    }
    const { statusCode: status, headers } = response
    return { status, type: headers['content-type'], next, end: () => asked.destroy() }
  }

  test('tells each change, and what was missed after a break', async () => {
    const store = memoryStore(silent)
    const server = await startServer({}, [], undefined, undefined, { store })
    onTestFinished(() => server.destroy())
    const { status, type, next, end } = await follow(server)
    expect([status, type]).toEqual([200, 'text/event-stream'])
    seen.add('GET /events 200')
    const first = await next()
    expect(first.topics).toEqual(TOPICS)
    const ask = asker(server)
    await ask('POST', '/tokens', { may: ['admin'] })
    const second = await next()
    expect(second.topics).toEqual(['tokens', 'audit'])
    end()
    const back = await follow(server, first.id)
    expect(await back.next()).toEqual(second)
    store.audit.write('domain.proved', { domain: 'shop.example.net' })
    expect((await back.next()).topics).toEqual(['domains', 'audit'])
    const foreign = await follow(server, 'abc-1')
    expect((await foreign.next()).topics).toEqual(TOPICS)
  })

  test('tells what a command of another process has changed', async () => {
    using directory = temporaryDirectory()
    const open = () => {
      const opened = openStore(directory.path, { uid: process.geteuid?.(), logger: silent })
      onTestFinished(() => opened.close())
      return opened
    }
    const store = open()
    const server = await startServer({}, [], undefined, undefined, { store })
    onTestFinished(() => server.destroy())
    const command = open()
    const { next } = await follow(server)
    expect((await next()).topics).toEqual(TOPICS)
    const of = { identity: 'one', tenant: '', endpoint: 'web' }
    const reservation = { ...of, kind: 'http', port: undefined, reservedAt: 1 } as const
    for (const change of [
      async () => await storedToken(command.tokens, { may: ['admin'], endpoints: [] }),
      async () => await command.reservations.reserve(reservation),
      async () => command.close(), // writes its audit log
    ]) {
      command.audit.write('name.reserved', {})
      await change()
      expect((await next()).topics).toEqual(['reservations', 'domains', 'tokens', 'audit'])
    }
  })

  test('is for so many pages at once', async () => {
    const server = await startServer()
    onTestFinished(() => server.destroy())
    const streams = []
    for (let count = 0; count < MAX_STREAMS; count++) streams.push(await follow(server))
    const ask = asker(server)
    expect((await ask('GET', '/events')).body.code).toBe('limit-reached')
    expect((await ask('HEAD', '/events')).status).toBe(200)
    for (const { end } of streams) end()
    await until(async () => {
      const { status, end } = await follow(server)
      end()
      return status === 200
    })
  })

  test('has no place for requests that wait behind a stream of their connection', async () => {
    const server = await startServer()
    onTestFinished(() => server.destroy())
    const client = await connectRaw(server.listeners.admin.bound[0]?.port ?? 0)
    const asked = 'GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n'
    await client.send(asked.repeat(MAX_STREAMS))
    expect(await client.readTo('\r\n\r\n')).toContain('200 OK')
    expect((await follow(server)).status).toBe(200)
    client.reset()
  })
})

test('a list that was not changed is not sent again', async () => {
  const { ask, store } = await operated()
  const { headers, body } = await ask('GET', '/reservations')
  const known = { 'if-none-match': String(headers['etag']) }
  expect(await ask('GET', '/reservations', undefined, known)).toMatchObject({ status: 304 })
  await ask('PUT', '/reservations/web', { identity: 'a' })
  const { status, body: now } = await ask('GET', '/reservations', undefined, known)
  expect([status, body.items.length, now.items.length]).toEqual([200, 0, 1])
  expect(store.reservations.list()).toHaveLength(1)
})

test('a path or a method that is not there is an error with a code', async () => {
  const { ask } = await operated()
  for (const path of ['', '/', '/nothing', '/tokens/', '/tokens/a/b', '/tokens/nosuchid']) {
    expect((await ask('GET', path)).body.code).toBe('not-found')
  }
  const { body, headers } = await ask('PUT', '/tokens', {})
  expect(body.code).toBe('method-not-allowed')
  expect(headers['allow']).toBe('GET, HEAD, POST')
  expect((await ask('OPTIONS', '/tokens')).body.code).toBe('method-not-allowed')
  expect((await ask('HEAD', '/tokens')).status).toBe(200)
  expect((await ask('DELETE', '/reservations/web', {})).body.code).toBe('body-invalid')
})

test('a store that cannot be read is an error with a code', async () => {
  const { ask, store } = await operated()
  const { tokens } = store
  tokens.list = () => {
    throw new StoreError('STORE_BUSY', 'busy')
  }
  expect(await ask('GET', '/tokens')).toMatchObject({ body: { code: 'store-unavailable' } })
})

describe('who may ask', () => {
  test('an identity with the right admin and without a tenant', async () => {
    const { server, store } = await operated()
    const as = async (wish: Parameters<typeof storedToken>[1]): Promise<Answer> => {
      const { text: token } = await storedToken(store.tokens, wish)
      return await asker(server, { authorization: `Bearer ${token}` })('GET', '/tokens')
    }
    expect((await as({ may: ['admin'] })).status).toBe(200)
    expect((await as({ may: ['listen', 'connect'] })).body.code).toBe('unauthorized')
    expect((await as({ may: ['admin'], tenant: 'acme' })).body.code).toBe('tenant-refused')
    const unknown = await asker(server)('GET', '/tokens')
    expect(unknown.body.code).toBe('unauthorized')
    expect(unknown.headers['www-authenticate']).toBe('Bearer')
  })

  test('after too many wrong tokens, for a while no request of that address', async () => {
    const store = memoryStore(silent)
    await storedToken(store.tokens)
    const failureRate = { amount: 1, periodMs: 60_000 }
    const { tokens, audit } = store
    using authenticator = new Authenticator({ tokens, audit, logger: silent, failureRate })
    const server = await startServer({}, [], authenticator, undefined, { store })
    onTestFinished(() => server.destroy())
    const ask = asker(server, { authorization: 'Bearer adit_aaaaaaaa_wrong' })
    const statuses = new Set<number>()
    for (let count = 0; count < 20; count++) statuses.add((await ask('GET', '/tokens')).status)
    expect(statuses).toEqual(new Set([401, 429]))
  })

  test('no identity while its keys cannot be read, which is no defect of the server', async () => {
    const store = memoryStore(silent)
    const { tokens, audit } = store
    const auth = authOf('a key of the test')
    auth.verifier.verify = async () => {
      throw new AuthError('IDENTITY_KEYS_UNAVAILABLE')
    }
    const ports = { admin: { auth } }
    using authenticator = new Authenticator({ tokens, audit, logger: silent, ports })
    const server = await startServer({}, [], authenticator, undefined, { store })
    onTestFinished(() => server.destroy())
    const { status, body, headers } = await asker(server, { authorization: 'Bearer a.b.c' })(
      'GET',
      '/tokens',
    )
    expect([status, body.code]).toEqual([503, 'credentials-unchecked'])
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
  })

  it.each([
    ['192.0.2.9', 'loopback-only'],
    ['2001:db8::1', 'loopback-only'],
    ['127.0.0.1', 'not-found'],
    ['::1', 'not-found'],
    [undefined, 'not-found'], // a unix socket
  ])('on a port without credentials %s gets %s', async (remoteAddress, code) => {
    const store = memoryStore(silent)
    const domains = new ProvedDomains([], {
      store,
      ownDomains: [],
      onRules: () => {},
      logger: silent,
    })
    const api = createAdminApi({
      store,
      domains,
      registry: new UpstreamRegistry(),
      reservations: store.reservations,
      nameRetryAfterMs: 1,
      portOf: () => undefined,
      status: statusOf(aloneView({ id: 'a', boot: 'b' }, '1')),
      sessions: new ConsoleSessions(),
      signIn: { oidc: undefined, onFailed: () => {} },
      changesNeedKey: false,
      version: '1',
      logger: silent,
    })
    const caller = { identity: 'anonymous', tenant: '', isKnown: false, remoteAddress }
    const sent = { method: 'GET', httpVersion: '1.1', path: '/nothing', query: '', headers: {} }
    const asked = { ...sent, localPort: 0, body: '', caller }
    const { body = '' } = await api.answer(asked)
    seen.add(JSON.parse(body).code as string)
    expect(JSON.parse(body)).toMatchObject({ code })
  })

  describe('on a port without credentials', () => {
    test.each([
      { 'x-forwarded-for': '192.0.2.9' },
      { forwarded: 'for=192.0.2.9' },
      { 'x-real-ip': '192.0.2.9' },
      { via: '1.1 proxy' },
      { via: '' },
    ])('no caller whose request came through a proxy: %j', async (headers) => {
      const { ask, withKey, store } = await unprotected()
      for (const [method, path] of [
        ['GET', '/tokens'],
        ['POST', '/tokens'],
        ['GET', '/nothing'],
      ] as const) {
        const body = method === 'POST' ? { may: ['admin'] } : undefined
        const refused = await ask(method, path, body, headers)
        expect(refused).toMatchObject({ status: 403, body: { code: 'proxy-refused' } })
      }
      expect(store.tokens.list()).toEqual([])
      // Who shows the key is known, whatever is in between.
      expect((await withKey('GET', '/tokens', undefined, headers)).status).toBe(200)
    })

    test('no caller with HTTP/1.0, which is what proxies speak by default', async () => {
      const { server } = await unprotected()
      const statusOfVersion = async (version: string): Promise<[number, string]> => {
        using connection = await connectRaw(server.listeners.admin.bound[0]?.port ?? 0)
        const head = `GET /api/v1/tokens HTTP/${version}\r\nhost: localhost\r\nconnection: close\r\n\r\n`
        await connection.send(head)
        const { status, body } = await connection.readResponse()
        return [status, body.toString()]
      }
      expect(await statusOfVersion('1.0')).toEqual([403, expect.stringContaining('proxy-refused')])
      expect(await statusOfVersion('1.1')).toEqual([200, expect.stringContaining('items')])
    })

    test('everyone of this machine to read, and who shows the key to change', async () => {
      const { server, ask, withKey, store } = await unprotected()
      for (const [method, path, body] of [
        ['POST', '/tokens', { may: ['admin'] }],
        ['PUT', '/reservations/web', { identity: 'a' }],
        ['DELETE', '/reservations/web', undefined],
        ['PATCH', '/tokens/aaaaaaaa', { name: 'a' }],
      ] as const) {
        for (const one of [ask, asker(server, { authorization: 'Bearer wrong' })]) {
          const refused = await one(method, path, body)
          expect(refused).toMatchObject({ status: 401, body: { code: 'key-required' } })
          expect(refused.headers['www-authenticate']).toBe('Bearer')
        }
      }
      expect((await ask('GET', '/tokens')).body.items).toEqual([])
      expect((await withKey('PUT', '/reservations/web', { identity: 'a' })).status).toBe(201)
      expect((await ask('GET', '/reservations')).body.items).toHaveLength(1)
      expect((await withKey('POST', '/tokens', { may: ['admin'] })).status).toBe(201)
      expect(await lastEvent(store, 'token.created')).toMatchObject({ by: 'operator' })
      // From now on the port asks for credentials.
      expect((await ask('GET', '/tokens')).body.code).toBe('unauthorized')
      expect((await withKey('GET', '/tokens')).body.items).toHaveLength(1)
    })

    test('no caller to change, when the key could not be written', async () => {
      const { ask } = await unprotected('/nothing/at/all')
      const refused = await ask('PUT', '/reservations/web', { identity: 'a' })
      expect(refused.body.code).toBe('key-required')
    })

    /** @param keyDirectory - where the key is written. Default: where the store is. */
    async function unprotected(keyDirectory?: string) {
      const directory = temporaryDirectory()
      const store = openStore(directory.path, { uid: process.geteuid?.(), logger: silent })
      const { tokens, audit } = store
      const operatorKey = makeOperatorKey(keyDirectory ?? directory.path, silent)
      const authenticator = new Authenticator({ tokens, audit, logger: silent, operatorKey })
      const server = await startServer({}, [], authenticator, undefined, { store })
      onTestFinished(() => {
        server.destroy()
        authenticator[Symbol.dispose]()
        store.close()
        directory[Symbol.dispose]()
      })
      const key = readOperatorKey(directory.path) ?? ''
      const withKey = asker(server, { authorization: `Bearer ${key}` })
      return { server, store, ask: asker(server), withKey }
    }
  })

  it.each([
    [{ origin: 'http://evil.example' }, 'origin-refused'],
    [{ 'sec-fetch-site': 'cross-site' }, 'origin-refused'],
    [{ host: 'evil.example' }, 'host-refused'],
  ])('no page of another site: %j', async (headers, code) => {
    const server = await startServer()
    onTestFinished(() => server.destroy())
    const ask = asker(server)
    const answer = await ask('POST', '/tokens', { may: ['admin'] }, headers)
    expect(answer).toMatchObject({ status: 403, body: { code } })
    expect((await ask('GET', '/tokens')).body.items).toEqual([])
  })

  test('with another content type than JSON nothing is changed', async () => {
    const { ask } = await operated()
    for (const [method, path, type] of [
      ['POST', '/tokens', 'text/plain'],
      ['POST', '/tokens', 'application/x-www-form-urlencoded'],
      ['PUT', '/reservations/web', 'application/jsonp'],
      ['DELETE', '/reservations/web', ''],
    ] as const) {
      const answer = await ask(method, path, undefined, { 'content-type': type })
      expect(answer.body.code).toBe('content-type-unsupported')
    }
  })
})

describe('lists of a cluster', () => {
  const session = {
    endpoint: 'web',
    session: 's1',
    protocol: 'adit',
    connectedAt: '2026-01-01T00:00:00.000Z',
    openStreams: 0,
  }
  const node = (id: string) => ({
    id,
    boot: id,
    address: '',
    fingerprint: '',
    version: '1',
    isLeaving: false,
    load: { sessions: 1, streams: 0 },
  })

  const call = {
    path: {},
    query: {},
    body: undefined,
    actor: { by: 'a' },
    request: {
      method: 'GET',
      path: '',
      query: '',
      httpVersion: '1.1',
      localPort: 0,
      headers: {},
      body: '',
      caller: { identity: 'a', tenant: '', isKnown: true, remoteAddress: undefined },
    },
    tenant: '',
    requireMatch: () => {},
  }

  test('have what other nodes serve, and name those that do not answer', async () => {
    const endpoint = { tenant: '', name: 'web' }
    const others = [node('b'), node('c'), node('d')]
    const cluster = {
      ...aloneView({ id: 'a', boot: 'a' }, '1'),
      nodes: () => others,
      entries: () => [[endpoint, [route(node('b'), 2), route(node('c'), 0)]] as const],
      ask: async (id: string, path: string) => {
        expect(path).toBe('/status/upstream/sessions')
        if (id === 'c') throw new Error('no answer')
        return id === 'd' ? { status: 404 } : { body: JSON.stringify([session]) }
      },
    }
    const status = statusOf(cluster)
    const routes = [...statusRoutes(status), ...endpointRoutes(status)]
    const run = async (path: string) =>
      (await routes.find((one) => one.path === path)?.run(call))?.body
    expect(await run('/agents')).toEqual({
      items: [{ node: 'b', ...session }],
      unreachable: ['c', 'd'],
    })
    expect(await run('/endpoints')).toMatchObject({
      items: [{ endpoint: 'web', sessions: 2, nodes: [{ node: 'b', sessions: 2 }] }],
    })
  })

  test('look for the certificate of a host name once, until it is replaced', async () => {
    const cluster = {
      ...aloneView({ id: 'a', boot: 'a' }, '1'),
      entries: () => [[{ tenant: '', name: 'web' }, [route(node('b'), 1)]] as const],
    }
    let looks = 0
    const material = (fits: boolean) => ({
      certificates: [
        {
          validTo: 'Jan  1 00:00:00 2100 GMT',
          checkHost: (host: string) => {
            looks += 1
            return fits ? host : undefined
          },
        },
      ],
    })
    const proxy = { name: 'proxy', front: { material: material(false) } }
    const tlsPorts = [proxy as unknown as TlsPortStatus]
    const urls = () => ['https://web.example']
    const registry = Object.assign(new UpstreamRegistry<Gate>(), { count: () => 1 })
    const [list] = endpointRoutes({ ...statusOf(cluster), registry, tlsPorts, urls })
    if (list === undefined) throw new Error('the list is the first route')
    const states = async (): Promise<unknown> => {
      const { items } = (await list.run(call)).body as { items: readonly { state: string }[] }
      return [items.map(({ state }) => state), looks]
    }
    expect(await states()).toEqual([['degraded'], 1])
    expect(await states()).toEqual([['degraded'], 1])
    proxy.front.material = material(true)
    expect(await states()).toEqual([['unknown'], 2])
  })

  function route(of: ClusterNode, sessions: number): ClusterRoute {
    return { node: of, sessions, epoch: 1 } as ClusterRoute
  }
})

test('no documented answer and no code is left out in this file', () => {
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses }]) =>
      Object.keys(responses)
        .filter((status) => status < '400')
        .map((status) => `${method.toUpperCase()} ${path} ${status}`),
    ),
  )
  const codes = Object.keys(API_ERRORS).filter((code) => code !== 'internal')
  expect([...documented, ...codes].filter((one) => !seen.has(one))).toEqual([])
})

/**
 * The store of a cluster takes its time.
 *
 * @returns waits until it was called twice: then both requests have come, and neither is carried out yet.
 */
function bothArrived(): () => Promise<void> {
  let resolve = (): void => {}
  const both = new Promise<void>((done) => (resolve = done))
  let count = 0
  return async () => {
    if (++count === 2) resolve()
    await both
  }
}

/** The newest event of a kind. */
async function lastEvent(store: Store, event: string): Promise<unknown> {
  await store.audit.flush()
  return (await store.audit.read({ event, limit: 1 }))[0]?.fields
}

/** What a server without agents lists. */
function statusOf(cluster: ClusterView): ApiSources {
  return {
    cluster,
    registry: new UpstreamRegistry<Gate>(),
    reservations: memoryStore(silent).reservations,
    urls: () => [],
    sessions: () => [],
    ports: () => [],
    nodes: () => [],
    agents: { drain: () => 0, disconnect: () => 0 },
    changes: new ChangeFeed(),
    history: new EndpointHistory(),
    accesses: () => [],
    tls: () => ({}),
    tlsPorts: [],
    edge: () => {
      throw new Error('not asked for')
    },
    limits: () => [],
    configuration: () => [],
    state: () => 'ready',
    version: '1',
    node: 'a',
    startedAt: 0,
  }
}
