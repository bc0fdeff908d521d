// Signing in with an OpenID provider that does everything right, or one thing wrong.
import { createHmac, randomUUID } from 'node:crypto'

import { Secret } from '@proj/config'
import { until } from '@proj/testkit/until'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { OIDC_LIMITS, type OidcOptions } from '../../src/admin/oidc/oidc-provider.ts'
import { OidcSignIn } from '../../src/admin/oidc/oidc-sign-in.ts'
import { SignInError, type SignInFailure } from '../../src/admin/oidc/sign-in-error.ts'
import { silent } from '../store/fixtures.ts'
import { bentProvider, type BentProvider, type Bends } from './bent-provider.ts'

const PAGE = 'https://admin.example.com/adit/console/'

/** A busy machine is not what these tests are about. */
const PARTS = { logger: silent, limits: { timeoutMs: 60_000 } }

/** What ends the sign-in. */
async function failureOf(step: Promise<unknown>): Promise<[SignInFailure, string]> {
  const error: unknown = await step.then(
    (value) => new Error(`it did not fail: ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  )
  if (!(error instanceof SignInError)) throw error
  return [error.failure, error.message]
}

/** Leaves a member out. */
function without(name: string): (right: Record<string, unknown>) => Record<string, unknown> {
  return (right) => Object.fromEntries(Object.entries(right).filter(([key]) => key !== name))
}

async function signedIn(provider: BentProvider, more: Partial<OidcOptions> = {}): Promise<string> {
  const oidc = new OidcSignIn({ ...provider.options, ...more }, PARTS)
  const { url, pending } = await oidc.begin(PAGE)
  return await oidc.finish(pending, provider.authorize(url))
}

test('a person is signed in whose claim is allowed', async () => {
  const provider = await bentProvider()
  const oidc = new OidcSignIn({ ...provider.options, scopes: ['groups'] }, PARTS)
  const { url, pending } = await oidc.begin(PAGE)
  const asked = Object.fromEntries(new URL(url).searchParams)
  expect(asked).toMatchObject({
    kept: '1',
    client_id: 'console',
    redirect_uri: PAGE,
    response_type: 'code',
    scope: 'openid groups',
    code_challenge_method: 'S256',
  })
  for (const secret of ['state', 'nonce', 'code_challenge']) {
    expect(asked[secret]?.length).toBeGreaterThanOrEqual(43)
  }
  expect(pending).not.toContain(asked['state'])
  expect(Buffer.from(pending, 'base64url').toString('latin1')).not.toContain(asked['nonce'])
  const answer = provider.authorize(url)
  expect(await oidc.finish(pending, answer)).toBe('oidc:ada')
  // What was redeemed once is not good again.
  expect(await failureOf(oidc.finish(pending, answer))).toEqual([
    'refused',
    'the provider answered "invalid_grant"',
  ])
  // The description of the provider is read once.
  expect(provider.counts.get('/.well-known/openid-configuration')).toBe(1)
})

test.each([
  ['a public client', undefined, undefined, '', 'console'],
  ['in the header', 'se:cret', undefined, 'Basic Y29uc29sZTpzZSUzQWNyZXQ=', null],
  ['in the body', 'se:cret', ['client_secret_post'], '', 'console'],
])('the secret of the client: %s', async (_, secret, methods, authorization, clientId) => {
  const provider = await bentProvider()
  provider.bends = {
    metadata: (right) => ({ ...right, token_endpoint_auth_methods_supported: methods }),
  }
  const clientSecret = secret === undefined ? undefined : new Secret(secret)
  expect(await signedIn(provider, { clientSecret })).toBe('oidc:ada')
  const [request] = provider.tokenRequests
  expect(request?.authorization).toBe(authorization)
  expect(request?.form.get('client_id')).toBe(clientId)
  expect(request?.form.get('client_secret')).toBe(methods === undefined ? null : secret)
})

test.each<[string, Record<string, unknown>, Partial<OidcOptions>, string]>([
  ['a text', { sub: 'ada', role: 'chief' }, { claim: 'role', allow: ['chief'] }, 'oidc:ada'],
  [
    'inside of another claim',
    { sub: 'ada', realm_access: { roles: ['x', 'chief'] } },
    { claim: 'realm_access.roles', allow: ['chief'] },
    'oidc:ada',
  ],
  [
    'with dots in its name',
    { sub: 'ada', 'https://example.com/roles': ['chief'] },
    { claim: 'https://example.com/roles', allow: ['chief'] },
    'oidc:ada',
  ],
  [
    'a verified address',
    { sub: '7', email: 'ada@example.com', email_verified: true },
    { claim: 'email', allow: ['ada@example.com'], nameClaim: 'email' },
    'oidc:ada@example.com',
  ],
])('the claim is %s', async (_, person, options, identity) => {
  expect(await signedIn(await bentProvider(person), options)).toBe(identity)
})

test.each<[string, Record<string, unknown>, Partial<OidcOptions>, RegExp]>([
  ['another value', { sub: 'ada', groups: ['admin', 'Admins'] }, {}, /no value of the claim/],
  ['no value', { sub: 'ada' }, {}, /no claim groups or sub/],
  ['an object', { sub: 'ada', groups: { admins: true } }, {}, /no claim groups/],
  [
    'of the prototype',
    { sub: 'ada' },
    { claim: 'constructor.name', allow: ['Object'] },
    /no claim/,
  ],
  [
    'an address that is not verified',
    { sub: '7', email: 'ada@example.com', email_verified: false },
    { claim: 'email', allow: ['ada@example.com'] },
    /not verified/,
  ],
  [
    'an address of which nothing is said',
    { sub: '7', email: 'ada@example.com' },
    { claim: 'email', allow: ['ada@example.com'] },
    /not verified/,
  ],
  ['a name with a line break', { sub: 'a\nb', groups: ['admins'] }, {}, /is no name/],
  ['a name that moves the cursor', { sub: 'a\u009b2Jb', groups: ['admins'] }, {}, /is no name/],
  ['a name that is written backwards', { sub: 'a\u202eb', groups: ['admins'] }, {}, /is no name/],
  ['a name of which not all is seen', { sub: 'ada\u200b', groups: ['admins'] }, {}, /is no name/],
  ['a name with a space at its end', { sub: 'ada ', groups: ['admins'] }, {}, /is no name/],
  ['a name without an end', { sub: 'a'.repeat(201), groups: ['admins'] }, {}, /is no name/],
])('nobody is signed in by a claim that is %s', async (_, person, options, why) => {
  const [failure, text] = await failureOf(signedIn(await bentProvider(person), options))
  expect(failure).toBe('refused')
  expect(text).toMatch(why)
})

test('claims that the ID token lacks are asked for, and are those of the same person', async () => {
  const provider = await bentProvider()
  provider.bends = { claims: without('groups') }
  expect(await signedIn(provider)).toBe('oidc:ada')
  provider.bends = { ...provider.bends, userInfo: (right) => ({ ...right, sub: 'eve' }) }
  expect((await failureOf(signedIn(provider)))[0]).toBe('unavailable')
})

test('an address is verified by who tells it', async () => {
  const person = { sub: '7', email: 'ada@example.com', email_verified: false }
  const provider = await bentProvider(person)
  const options = { claim: 'email', allow: ['ada@example.com'] }
  // The ID token has no address, but says that it is verified.
  provider.bends = { claims: (right) => ({ ...without('email')(right), email_verified: true }) }
  expect(await failureOf(signedIn(provider, options))).toEqual([
    'refused',
    expect.stringContaining('not verified'),
  ])
  provider.bends = {
    claims: (right) => without('email_verified')(without('email')(right)),
    userInfo: (right) => ({ ...right, email_verified: true }),
  }
  expect(await signedIn(provider, options)).toBe('oidc:7')
})

describe('the answer that the browser brings', () => {
  test.each<[string, (answer: URLSearchParams) => void, SignInFailure]>([
    ['with another state', (answer) => answer.set('state', 'other'), 'invalid'],
    ['without a state', (answer) => answer.delete('state'), 'invalid'],
    ['with two states', (answer) => answer.append('state', 'other'), 'invalid'],
    ['of another issuer', (answer) => answer.set('iss', 'https://evil.example'), 'invalid'],
    ['without an issuer', (answer) => answer.delete('iss'), 'invalid'],
    ['without a code', (answer) => answer.delete('code'), 'unavailable'],
    ['with another code', (answer) => answer.set('code', 'guessed'), 'refused'],
    ['an error', (answer) => answer.set('error', 'access_denied'), 'refused'],
  ])('%s', async (_, bend, failure) => {
    const provider = await bentProvider()
    const oidc = new OidcSignIn(provider.options, PARTS)
    const { url, pending } = await oidc.begin(PAGE)
    const answer = new URLSearchParams(provider.authorize(url))
    bend(answer)
    expect((await failureOf(oidc.finish(pending, String(answer))))[0]).toBe(failure)
  })

  test('belongs to the sign-in that was begun, here, and not long ago', async () => {
    const provider = await bentProvider()
    let now = 0
    const oidc = new OidcSignIn(provider.options, { ...PARTS, now: () => now })
    const [own, other] = [await oidc.begin(PAGE), await oidc.begin(PAGE)]
    const answer = provider.authorize(own.url)
    expect((await failureOf(oidc.finish(other.pending, answer)))[0]).toBe('invalid')
    const elsewhere = await new OidcSignIn(provider.options, PARTS).begin(PAGE)
    for (const pending of ['', 'A', elsewhere.pending, `${own.pending.slice(0, -2)}AA`]) {
      expect((await failureOf(oidc.finish(pending, answer)))[0]).toBe('invalid')
    }
    now = OIDC_LIMITS.pendingMs
    expect((await failureOf(oidc.finish(own.pending, answer)))[0]).toBe('invalid')
    // Nothing of this was sent to the provider.
    expect(provider.tokenRequests).toEqual([])
    now -= 1
    expect(await oidc.finish(own.pending, answer)).toBe('oidc:ada')
  })
})

describe('an ID token', () => {
  const now = () => Math.floor(Date.now() / 1000)
  test.each<[string, Bends, RegExp]>([
    ['of another issuer', { claims: (r) => ({ ...r, iss: 'https://evil.example' }) }, /iss/],
    ['for another client', { claims: (r) => ({ ...r, aud: 'other' }) }, /aud/],
    ['for several clients', { claims: (r) => ({ ...r, aud: ['console', 'other'] }) }, /aud/],
    [
      'made for another of several clients',
      { claims: (r) => ({ ...r, aud: ['console', 'other'], azp: 'other' }) },
      /azp/,
    ],
    ['without a nonce', { claims: without('nonce') }, /nonce/],
    ['with another nonce', { claims: (r) => ({ ...r, nonce: 'other' }) }, /nonce/],
    ['that has expired', { claims: (r) => ({ ...r, exp: now() - 120 }) }, /exp/],
    ['that never expires', { claims: without('exp') }, /exp/],
    ['that is not valid yet', { claims: (r) => ({ ...r, nbf: now() + 120 }) }, /nbf/],
    ['of nobody', { claims: without('sub') }, /sub/],
    ['that is not signed', { header: (r) => ({ ...r, alg: 'none' }), idToken: unsigned }, /./],
    ['with a word for a signature', { idToken: (right) => `${unsigned(right)}AAAA` }, /signature/],
    ['of an unknown key', { header: (r) => ({ ...r, kid: 'other' }) }, /key/],
    ['signed with what everybody knows', { idToken: signedWithPublic }, /alg/],
    [
      'signed with a secret that is no secret',
      { keys: withSecret, idToken: signedWithSecret },
      /alg/,
    ],
    ['that is none', { idToken: () => 'a.b' }, /./],
    [
      'that is very long',
      { claims: (r) => ({ ...r, pad: 'x'.repeat(50_000) }) },
      /long|large|bytes/,
    ],
  ])('%s is refused', async (_, bends, why) => {
    const provider = await bentProvider()
    provider.bends = bends
    const [failure, text] = await failureOf(signedIn(provider))
    expect(['refused', 'unavailable']).toContain(failure)
    expect(text).toMatch(why)
  })

  test('for several clients is taken where it is made for this one', async () => {
    const provider = await bentProvider()
    provider.bends = { claims: (r) => ({ ...r, aud: ['console', 'other'], azp: 'console' }) }
    expect(await signedIn(provider)).toBe('oidc:ada')
  })

  test('of somebody who is in several hundred groups is taken', async () => {
    const groups = Array.from({ length: 400 }, () => randomUUID())
    expect(await signedIn(await bentProvider({ sub: 'ada', groups: [...groups, 'admins'] }))).toBe(
      'oidc:ada',
    )
  })

  test('is verified with the keys that the provider has now', async () => {
    const provider = await bentProvider()
    const oidc = new OidcSignIn(provider.options, PARTS)
    const once = async () => {
      const { url, pending } = await oidc.begin(PAGE)
      return await oidc.finish(pending, provider.authorize(url))
    }
    expect(await once()).toBe('oidc:ada')
    const header = (right: Record<string, unknown>) => ({ ...right, kid: 'two' })
    const keys = (right: Record<string, unknown>[]) => right.map((key) => ({ ...key, kid: 'two' }))
    provider.bends = { header, keys }
    expect(await once()).toBe('oidc:ada')
    // The key that is not there any more is not good any more.
    provider.bends = { keys }
    expect((await failureOf(once()))[0]).toBe('refused')
  })

  test('of a clock that is a little ahead is taken', async () => {
    const provider = await bentProvider()
    provider.bends = { claims: (r) => ({ ...r, iat: now() + 20, nbf: now() + 20 }) }
    expect(await signedIn(provider)).toBe('oidc:ada')
    provider.bends = { claims: (r) => ({ ...r, exp: now() - 20 }) }
    expect(await signedIn(provider)).toBe('oidc:ada')
  })

  function unsigned(jwt: string): string {
    return jwt.slice(0, jwt.lastIndexOf('.') + 1)
  }

  /** A set that everybody can read, with what would be a secret elsewhere. */
  function withSecret(right: Record<string, unknown>[]): Record<string, unknown>[] {
    const k = Buffer.from('console').toString('base64url')
    return [...right, { kty: 'oct', kid: 'secret', alg: 'HS256', k }]
  }

  function signedWithSecret(jwt: string): string {
    return signedWithPublic(jwt, 'secret')
  }

  /** The key set is public: nothing in it may be the secret of HS256. */
  function signedWithPublic(jwt: string, kid = 'one'): string {
    const [, claims = ''] = jwt.split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid })).toString('base64url')
    const signature = createHmac('sha256', 'console').update(`${header}.${claims}`)
    return `${header}.${claims}.${signature.digest('base64url')}`
  }
})

describe('a provider', () => {
  const limits = { timeoutMs: 100, maxAnswerBytes: 50_000, retryMs: 50 }
  const PATHS = ['/.well-known/openid-configuration', '/token', '/keys'] as const

  test.each(PATHS)(
    '%s that answers never, without an end, or elsewhere, is given up',
    async (at) => {
      for (const answer of ['never', 'endless', 'redirect', 'broken', 'status'] as const) {
        const provider = await bentProvider()
        const oidc = new OidcSignIn(provider.options, { logger: silent, limits })
        provider.bends = {
          answer: (path, response) => {
            if (path !== at) return false
            if (answer === 'never') response.writeHead(200).write('{')
            if (answer === 'endless') {
              // A response whose socket is gone calls back at once, for ever, in newer versions of Node.
              const more = (): void => {
                if (response.socket?.destroyed !== false) return
                response.write('x'.repeat(60_000), () => setImmediate(more))
              }
              more()
            }
            // Followed only by the reader of keys, as it does elsewhere: here it leads in a circle.
            if (answer === 'redirect') response.writeHead(302, { location: at }).end()
            if (answer === 'broken') response.writeHead(200, JSON_TYPE).end('{"a"')
            if (answer === 'status') response.writeHead(500).end()
            return true
          },
        }
        const whole = oidc.begin(PAGE).then(async ({ url, pending }) => {
          return await oidc.finish(pending, provider.authorize(url))
        })
        expect([answer, (await failureOf(whole))[0]]).toEqual([answer, 'unavailable'])
      }
    },
  )

  test.each<[string, (right: Record<string, unknown>) => object]>([
    ['another name', (right) => ({ ...right, issuer: 'https://evil.example' })],
    ['no keys', without('jwks_uri')],
    ['keys in a file', (right) => ({ ...right, jwks_uri: 'file:///etc/passwd' })],
    ['a page that is a script', (right) => ({ ...right, authorization_endpoint: 'javascript:1' })],
  ])('with %s is not used', async (_, metadata) => {
    const provider = await bentProvider()
    provider.bends = { metadata }
    expect((await failureOf(signedIn(provider)))[0]).toBe('unavailable')
  })

  test('that was away is asked again, but not by each visitor', async () => {
    const provider = await bentProvider()
    let now = 0
    const oidc = new OidcSignIn(provider.options, { ...PARTS, now: () => now })
    provider.bends = { answer: (_, response) => response.destroy().destroyed }
    await Promise.all([1, 2, 3].map(async () => await failureOf(oidc.begin(PAGE))))
    await failureOf(oidc.begin(PAGE))
    expect([...provider.counts.values()]).toEqual([1])
    provider.bends = {}
    now = OIDC_LIMITS.retryMs
    await oidc.begin(PAGE)
  })

  test('is asked again in time also when the clock of the machine was set back', async () => {
    onTestFinished(() => void vi.useRealTimers())
    vi.useFakeTimers({ toFake: ['Date'] })
    const provider = await bentProvider()
    const oidc = new OidcSignIn(provider.options, { ...PARTS, limits: { retryMs: 1 } })
    provider.bends = { answer: (_, response) => response.destroy().destroyed }
    await failureOf(oidc.begin(PAGE))
    provider.bends = {}
    vi.setSystemTime(Date.now() - 3_600_000)
    const failed = performance.now()
    await until(() => performance.now() > failed + 1)
    expect((await oidc.begin(PAGE)).url).toContain(provider.issuer)
  })

  test('redeems no more codes at once than the limit', async () => {
    const provider = await bentProvider()
    const limits = { ...PARTS.limits, maxAtOnce: 1 }
    const oidc = new OidcSignIn(provider.options, { logger: silent, limits })
    const all = await Promise.all(
      [1, 2].map(async () => {
        const { url, pending } = await oidc.begin(PAGE)
        return [pending, provider.authorize(url)] as const
      }),
    )
    const ends = await Promise.allSettled(all.map(async (one) => await oidc.finish(...one)))
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(ends[1]).toMatchObject({ reason: { failure: 'busy' } })
    const [second] = all.slice(1)
    if (second === undefined) throw new Error('there is no second one')
    expect(await oidc.finish(...second)).toBe('oidc:ada')
  })
})

const JSON_TYPE = { 'content-type': 'application/json' }
