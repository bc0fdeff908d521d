import type { IncomingHttpHeaders } from 'node:http'
import { inspect } from 'node:util'

import { createToken } from '@proj/auth'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { until } from '@proj/testkit/until'
import { describe, expect, test } from 'vitest'

import { Authenticator, type AuthenticatorOptions } from '../../src/auth/authenticator.ts'
import { MemoryAuditLog } from '../../src/store/audit-log.ts'
import { MemoryTokenStore } from '../../src/store/token-store.ts'
import { authOf, hs256, storedToken } from './signed.ts'

const KEY = 'the key of the port, thirty-two bytes or more'

function authenticator(options: Partial<AuthenticatorOptions> = {}) {
  const tokens = new MemoryTokenStore()
  const audit = new MemoryAuditLog()
  const logger = new RecordingLogger()
  const subject = new Authenticator({ tokens, audit, logger, ...options })
  /** Who a request is, or what it is told. */
  const judged = async (
    headers: IncomingHttpHeaders | string,
    action: 'listen' | 'connect' = 'listen',
    more: object = {},
  ): Promise<unknown> => {
    const shown = typeof headers === 'string' ? { authorization: `Bearer ${headers}` } : headers
    const verdict = await subject.authorize({
      headers: shown,
      action,
      endpoint: 'web',
      remoteAddress: '192.0.2.1',
      ...more,
    })
    if ('status' in verdict) return `${verdict.status} ${verdict.error}`
    return `${verdict.tenant}/${verdict.identity}`
  }
  return { subject, tokens, audit, logger, judged }
}

/**
 * What lives as long as a credential that expires soon. The machine may take longer to look at it than it
 * lives: the next one lives longer.
 */
async function livingSoon(
  accept: (expiresAt: number) => Promise<AbortSignal | undefined>,
): Promise<AbortSignal> {
  for (let lifeMs = 50; lifeMs < 20_000; lifeMs *= 4) {
    const ended = await accept(Date.now() + lifeMs)
    if (ended?.aborted === false) return ended
  }
  throw new Error('no credential was accepted')
}

const CERTIFICATE = { names: ['URI:spiffe://a/printer', 'DNS:a.example'], fingerprint256: 'AA:BB' }

describe('a server that has neither keys nor tokens', () => {
  test('asks nobody, and looks at nothing', async () => {
    const { subject, judged } = authenticator()
    expect(await judged({})).toBe('/anonymous')
    expect(await judged('junk', 'connect')).toBe('/anonymous')
    expect(await judged({ 'x-piko-tenant-id': 'acme' })).toBe('/anonymous')
    expect(subject.isProtected('upstream')).toBe(false)
    expect(
      await subject.authorizeAdmin({ headers: {}, remoteAddress: undefined, isProbe: false }),
    ).toMatchObject({ identity: 'anonymous' })
  })

  test('is protected from its first token on, also when that is revoked', async () => {
    const { subject, tokens, judged } = authenticator()
    const { id, text } = await storedToken(tokens)
    for (const port of ['upstream', 'proxy', 'admin'] as const) {
      expect(subject.isProtected(port)).toBe(true)
    }
    expect(await judged({})).toBe('401 missing authorization')
    expect(await judged(text)).toBe(`/token:${id}`)
    await tokens.revoke(id, Date.now())
    expect(await judged(text)).toBe('401 invalid token')
    expect(await judged({}, 'connect')).toBe('401 missing authorization')
  })
})

describe('an opaque token', () => {
  test('that is wrong, unknown, expired or revoked reads the same', async () => {
    const { tokens, judged } = authenticator()
    const good = await storedToken(tokens)
    const expired = await storedToken(tokens, { expiresAt: Date.now() - 1 })
    const revoked = await storedToken(tokens)
    await tokens.revoke(revoked.id, Date.now())
    // Well written, with the id of another.
    const stranger = createToken().text
    const wrong = [
      'adit_',
      good.text.slice(0, -1),
      stranger,
      expired.text,
      revoked.text,
      good.text.toUpperCase(),
    ]
    for (const text of wrong) expect(await judged(text)).toBe('401 invalid token')
  })

  test('with the id of one and the secret of another is none', async () => {
    const { tokens, logger, judged } = authenticator()
    const { id } = await storedToken(tokens)
    const other = createToken()
    await tokens.create({
      id: other.id,
      hash: '00'.repeat(32),
      identity: 'token:other',
      name: '',
      tenant: '',
      rights: ['listen'],
      endpoints: ['*'],
      createdAt: 0,
      expiresAt: undefined,
    })
    expect(await judged(other.text)).toBe('401 invalid token')
    expect(id).not.toBe(other.id)
    expect(logger.find('credentials refused')).toHaveLength(1)
  })

  test('is noted as used, and only when it is good', async () => {
    const { tokens, judged } = authenticator()
    const { id, text } = await storedToken(tokens)
    await judged(createToken().text)
    expect(tokens.find(id)?.lastUsedAt).toBeUndefined()
    await judged(text)
    expect(tokens.find(id)?.lastUsedAt).toBeGreaterThan(0)
  })

  test('ends what lives on it when it gets another scope, and not when only its name changes', async () => {
    const { subject, tokens } = authenticator()
    const { id, text } = await storedToken(tokens, { may: ['listen'], endpoints: ['web'] })
    const verdict = await subject.authorize({
      headers: { authorization: `Bearer ${text}` },
      action: 'listen',
      endpoint: '',
      remoteAddress: undefined,
    })
    const ended = 'status' in verdict ? undefined : verdict.ended
    const scope = { name: 'lab', rights: ['listen'] as const, endpoints: ['web'] }
    await tokens.rescope(id, () => scope)
    expect(ended?.aborted).toBe(false)
    await tokens.rescope(id, () => ({ ...scope, endpoints: ['pc*'] }))
    expect(ended?.reason).toEqual(new Error('token with another scope'))
  })

  test('ends what lives on it when it is revoked or expires', async () => {
    const { subject, tokens } = authenticator()
    const revoked = await storedToken(tokens)
    const ended = async (text: string): Promise<AbortSignal | undefined> => {
      const verdict = await subject.authorize({
        headers: { authorization: `Bearer ${text}` },
        action: 'listen',
        endpoint: '',
        remoteAddress: undefined,
      })
      return 'status' in verdict ? undefined : verdict.ended
    }
    const [first, second] = [await ended(revoked.text), await ended(revoked.text)]
    const third = await livingSoon(
      async (expiresAt) => await ended((await storedToken(tokens, { expiresAt })).text),
    )
    expect(first?.aborted).toBe(false)
    await tokens.revoke(revoked.id, Date.now())
    expect([first?.reason, second?.reason]).toEqual([
      new Error('revoked token'),
      new Error('revoked token'),
    ])
    await until(() => third.aborted)
    expect(third.reason).toEqual(new Error('expired token'))
  })
})

describe('keys of a port', () => {
  test('judge its JWTs, and no other port', async () => {
    const { subject, judged } = authenticator({ ports: { upstream: { auth: authOf(KEY) } } })
    expect([subject.isProtected('upstream'), subject.isProtected('proxy')]).toEqual([true, false])
    expect(await judged(hs256(KEY, {}))).toBe('/jwt')
    expect(await judged(hs256(KEY, { sub: 'a', adit: { may: ['listen'] } }))).toBe('/jwt:a')
    expect(await judged(hs256('another', {}))).toBe('401 invalid token')
    expect(await judged(hs256(KEY, { exp: 1 }))).toBe('401 expired token')
    expect(await judged({})).toBe('401 missing authorization')
    expect(await judged({}, 'connect')).toBe('/anonymous')
    expect(await judged('adit_')).toBe('401 invalid token')
  })

  test('leave the tokens of the server good as well', async () => {
    const { tokens, judged } = authenticator({ ports: { upstream: { auth: authOf(KEY) } } })
    const { id, text } = await storedToken(tokens)
    expect(await judged(text)).toBe(`/token:${id}`)
    expect(await judged(hs256(KEY, {}))).toBe('/jwt')
    // A port without keys takes only the former.
    expect(await judged(text, 'connect')).toBe(`/token:${id}`)
    expect(await judged(hs256(KEY, {}), 'connect')).toBe('401 invalid token')
  })

  test('end what lives on a JWT when it expires, unless they are told not to', async () => {
    const exp = Math.floor(Date.now() / 1000) + 100
    for (const [endsAtExpiry, expected] of [
      [true, false],
      [false, undefined],
    ] as const) {
      const auth = authOf(KEY, endsAtExpiry)
      const { subject } = authenticator({ ports: { upstream: { auth } } })
      const verdict = await subject.authorize({
        headers: { authorization: `Bearer ${hs256(KEY, { exp })}` },
        action: 'listen',
        endpoint: '',
        remoteAddress: undefined,
      })
      expect('status' in verdict ? verdict : verdict.ended?.aborted).toBe(expected)
    }
  })

  test('that cannot be read yet ask to come back', async () => {
    const { AuthError } = await import('@proj/auth')
    const auth = authOf(KEY)
    auth.verifier.verify = async () => {
      throw new AuthError('IDENTITY_KEYS_UNAVAILABLE')
    }
    const { audit, judged } = authenticator({ ports: { upstream: { auth } } })
    expect(await judged('a.b.c')).toBe('503 token keys unavailable')
    expect(await audit.read()).toEqual([])
  })
})

describe('tenants', () => {
  const tenants = new Map([
    ['acme', authOf('the key of acme')],
    ['beta', authOf('the key of beta')],
  ])
  const from = (tenant: string | undefined, token: string): IncomingHttpHeaders => ({
    authorization: `Bearer ${token}`,
    ...(tenant !== undefined && { 'x-piko-tenant-id': tenant }),
  })
  const acme = hs256('the key of acme', {})

  test('are named by the peer and proven by their keys', async () => {
    const { subject, judged } = authenticator({ tenants })
    expect(subject.isProtected('upstream')).toBe(true)
    expect(await judged(from('acme', acme))).toBe('acme/jwt')
    expect(await judged(from('beta', acme))).toBe('401 invalid token')
    expect(await judged(from('none', acme))).toBe('401 unknown tenant')
    expect(await judged(from(undefined, acme))).toBe('401 unknown tenant')
    expect(await judged(from('', acme))).toBe('401 unknown tenant')
    expect(await judged({ 'x-piko-tenant-id': 'acme' })).toBe('401 missing authorization')
  })

  test('are the same for consumers, and other consumers have none', async () => {
    const { judged } = authenticator({ tenants })
    expect(await judged(from('acme', acme), 'connect')).toBe('acme/jwt')
    expect(await judged(from('beta', acme), 'connect')).toBe('401 invalid token')
    expect(await judged({ 'x-piko-tenant-id': 'acme' }, 'connect')).toBe(
      '401 missing authorization',
    )
    expect(await judged({}, 'connect')).toBe('/anonymous')
  })

  test('may be claimed by a token, but not another one', async () => {
    const claims = (tenant: string) => ({ adit: { may: ['listen'], tenant } })
    const { judged } = authenticator({ tenants, ports: { proxy: { auth: authOf(KEY) } } })
    const own = hs256('the key of acme', claims('acme'))
    const foreign = hs256('the key of acme', claims('beta'))
    expect(await judged(from('acme', own))).toBe('acme/jwt')
    expect(await judged(from('acme', foreign))).toBe('401 unknown tenant')
    // The keys of the port are those of the operator: what they sign is so.
    expect(await judged(from(undefined, hs256(KEY, claims('beta'))), 'connect')).toBe('beta/jwt')
  })

  test('of opaque tokens stand in the store', async () => {
    const { tokens, judged } = authenticator()
    const { id, text } = await storedToken(tokens, { tenant: 'acme' })
    expect(await judged(from(undefined, text))).toBe(`acme/token:${id}`)
    expect(await judged(from('acme', text))).toBe(`acme/token:${id}`)
    expect(await judged(from('beta', text))).toBe('401 unknown tenant')
  })

  test('are refused where there are none, as Piko does', async () => {
    const { judged } = authenticator({ ports: { upstream: { auth: authOf(KEY) } } })
    expect(await judged(from('acme', hs256(KEY, {})))).toBe('401 unknown tenant')
    const claimed = hs256(KEY, { adit: { may: ['listen'], tenant: 'acme' } })
    expect(await judged(from('acme', claimed))).toBe('acme/jwt')
  })
})

describe('a client certificate', () => {
  test.for([
    ['alone', {}],
    ['with a token', { expiresAt: Date.now() + 86_400_000 }],
    ['with a token for ever', {}],
  ] as const)('%s ends what lives on it when it expires', async ([how, token]) => {
    const { subject, tokens } = authenticator({
      ports: { upstream: { hasClientAuthorities: true } },
    })
    const headers: Record<string, string> = {}
    if (how !== 'alone') {
      headers['authorization'] = `Bearer ${(await storedToken(tokens, token)).text}`
    }
    const ended = await livingSoon(async (notAfter) => {
      const verdict = await subject.authorize({
        headers,
        action: 'listen',
        endpoint: '',
        remoteAddress: undefined,
        certificate: { ...CERTIFICATE, notAfter },
      })
      return 'status' in verdict ? undefined : verdict.ended
    })
    await until(() => ended.aborted)
    expect(ended.reason).toEqual(new Error('expired certificate'))
  })

  const shown = { certificate: CERTIFICATE }

  test('of a person is named by its subject, which cannot be the name of another kind', async () => {
    const { subject } = authenticator({ ports: { admin: { hasClientAuthorities: true } } })
    const commonName = 'URI:spiffe://a/printer'
    for (const [names, identity] of [
      [[], `cert:CN:${commonName}`],
      [['email:a@b.example'], 'cert:email:a@b.example'],
    ] as const) {
      const verdict = await subject.authorizeAdmin({
        headers: {},
        remoteAddress: undefined,
        isProbe: false,
        certificate: { ...CERTIFICATE, names, commonName },
      })
      expect(verdict).toMatchObject({ identity })
    }
  })

  test('is an identity where its authorities are the protection', async () => {
    const { judged } = authenticator({ ports: { upstream: { hasClientAuthorities: true } } })
    expect(await judged({}, 'listen', shown)).toBe('/cert:URI:spiffe://a/printer')
    const nameless = { certificate: { ...CERTIFICATE, names: [] } }
    expect(await judged({}, 'listen', nameless)).toBe('/cert:AA:BB')
    const named = { certificate: { ...CERTIFICATE, names: [], commonName: 'AA:BB' } }
    expect(await judged({}, 'listen', named)).toBe('/cert:AA:BB')
    expect(await judged({}, 'listen')).toBe('401 missing authorization')
    // Who shows a token wants to be who the token says.
    expect(await judged('junk', 'listen', shown)).toBe('401 invalid token')
  })

  test('does not do where keys demand a JWT', async () => {
    const upstream = { auth: authOf(KEY), hasClientAuthorities: true }
    const { judged } = authenticator({ ports: { upstream } })
    expect(await judged({}, 'listen', shown)).toBe('401 missing authorization')
    expect(await judged(hs256(KEY, {}), 'listen', shown)).toBe('/jwt')
  })
})

describe('an admin port', () => {
  const asked = async (
    { subject }: ReturnType<typeof authenticator>,
    token?: string,
    isProbe = false,
  ): Promise<unknown> => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const verdict = await subject.authorizeAdmin({ headers, remoteAddress: '192.0.2.9', isProbe })
    return 'status' in verdict ? `${verdict.status} ${verdict.error}` : 'passes'
  }

  test('asks for the right admin once there are tokens, and leaves probes alone', async () => {
    const found = authenticator()
    const agent = await storedToken(found.tokens, { may: ['listen', 'connect'] })
    const operator = await storedToken(found.tokens, { may: ['admin'], endpoints: [] })
    expect(await asked(found)).toBe('401 missing authorization')
    expect(await asked(found, agent.text)).toBe('401 not permitted')
    expect(await asked(found, operator.text)).toBe('passes')
    expect(await asked(found, undefined, true)).toBe('passes')
  })

  test('counts and notes no failure of requests that show nothing, such as those of a page', async () => {
    const found = authenticator({ failureRate: { amount: 2, periodMs: 3_600_000 } })
    const { text } = await storedToken(found.tokens, { may: ['admin'], endpoints: [] })
    for (let tries = 0; tries < 3; tries++) {
      expect(await asked(found)).toBe('401 missing authorization')
    }
    expect(await asked(found, text)).toBe('passes')
    expect(await found.audit.read()).toEqual([])
    for (let tries = 0; tries < 2; tries++) expect(await asked(found, 'junk')).toMatch(/^401/)
    expect(await asked(found, text)).toBe('429 too many failed attempts')
  })

  test('with keys asks for a JWT on every page, as Piko does', async () => {
    const found = authenticator({ ports: { admin: { auth: authOf(KEY) } } })
    expect(await asked(found, undefined, true)).toBe('401 missing authorization')
    expect(await asked(found, hs256(KEY, {}))).toBe('passes')
    expect(await asked(found, hs256(KEY, { adit: { may: ['listen'] } }))).toBe('401 not permitted')
    expect(await asked(found, hs256(KEY, { adit: { may: ['admin'] } }))).toBe('passes')
  })
})

describe('strangers', () => {
  const per = (amount: number) => ({ amount, periodMs: 3_600_000 })
  const at = (remoteAddress: string) => ({ remoteAddress })

  test('that are wrong too often are not judged any more, whatever they show', async () => {
    const { subject, tokens, audit, judged } = authenticator({ failureRate: per(3) })
    const { id, text } = await storedToken(tokens)
    for (let tries = 0; tries < 3; tries++) expect(await judged('junk')).toBe('401 invalid token')
    expect(await judged('junk')).toBe('429 too many failed attempts')
    expect(await judged(text)).toBe('429 too many failed attempts')
    expect(await judged(text, 'connect')).toBe('429 too many failed attempts')
    expect(await judged(text, 'listen', at('192.0.2.2'))).toBe(`/token:${id}`)
    expect((await audit.read()).map(({ event }) => event)).toEqual(Array(3).fill('auth.failed'))
    expect((await audit.read())[0]?.fields).toMatchObject({
      port: 'upstream',
      remoteAddress: '192.0.2.1',
    })
    expect(subject.limits.refused).toEqual({ handshakes: 0, failures: 3 })
  })

  test('of one /64 are one', async () => {
    const { judged } = authenticator({
      ports: { upstream: { auth: authOf(KEY) } },
      failureRate: per(1),
    })
    expect(await judged({}, 'listen', at('2001:db8::1'))).toBe('401 missing authorization')
    expect(await judged({}, 'listen', at('2001:db8::2'))).toBe('429 too many failed attempts')
    expect(await judged({}, 'listen', at('2001:db8:0:1::2'))).toBe('401 missing authorization')
  })

  test('that come too often are told when to come again', async () => {
    const { subject, judged } = authenticator({ handshakeRate: per(2) })
    expect(await judged({})).toBe('/anonymous')
    expect(await judged({})).toBe('/anonymous')
    const request = { headers: {}, action: 'listen', endpoint: '' } as const
    expect(await subject.authorize({ ...request, remoteAddress: '192.0.2.1' })).toEqual({
      status: 429,
      error: 'too many handshakes',
      retryAfterMs: expect.toSatisfy((ms: number) => ms > 1_790_000 && ms <= 1_800_000),
    })
    expect(subject.limits.refused).toEqual({ handshakes: 1, failures: 0 })
  })

  test('are not counted where there is no limit', async () => {
    const none = { amount: Infinity, periodMs: 1000 }
    const { judged } = authenticator({ handshakeRate: none, failureRate: none })
    for (let tries = 0; tries < 50; tries++) expect(await judged({})).toBe('/anonymous')
  })
})

test('no credential is in a log line, the audit log or an answer', async () => {
  const tenants = new Map([['acme', authOf('the key of acme')]])
  const { tokens, audit, logger, judged } = authenticator({
    tenants,
    ports: { proxy: { auth: authOf(KEY) } },
  })
  const { text } = await storedToken(tokens)
  const jwt = hs256('another key', { sub: 'somebody', secret: 'claimed' })
  const shown = [text, text.slice(0, -1), createToken().text, jwt, `${jwt}x`, 'Basic-ish']
  const answers: unknown[] = []
  for (const token of shown) {
    for (const action of ['listen', 'connect'] as const) {
      answers.push(await judged(token, action))
      answers.push(
        await judged({ authorization: `Bearer ${token}`, 'x-piko-tenant-id': 'acme' }, action),
      )
      answers.push(await judged({ 'x-piko-authorization': token }, action))
    }
  }
  const seen = inspect([answers, await audit.read(), logger.records], { depth: Infinity })
  const parts = [...shown, ...jwt.split('.'), text.split('_')[2] ?? '', KEY, 'claimed', 'somebody']
  for (const secret of parts) expect(seen).not.toContain(secret)
})
