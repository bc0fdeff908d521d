import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { isAuthError } from '../../src/errors.ts'
import { SourceLimiter } from '../../src/limits/source-limiter.ts'
import { Gate, judgeAll } from '../../src/visitors/gate.ts'
import { hashPassword } from '../../src/visitors/password.ts'
import { PasswordChecks } from '../../src/visitors/password-checks.ts'
import { MAX_BLOCKS, parsePolicy } from '../../src/visitors/policy.ts'

const verifier = await hashPassword('secret')
const parts = () => ({
  checks: new PasswordChecks(),
  failures: new SourceLimiter({ burst: 2, perMinute: 10, now: () => 0 }),
})
const basic = (pair: string): string[] => [
  'authorization',
  `Basic ${Buffer.from(pair).toString('base64')}`,
]
const from = (headers: readonly string[], address = '192.0.2.1') => ({
  headers,
  address,
  endpoint: 'web',
})

describe('passwords', () => {
  const policy = { basicAuth: [{ user: 'ann', verifier }] }

  test('challenge who sends none, with the endpoint as realm', () => {
    const gate = new Gate(policy, parts())
    expect(gate.judge(from([]))).toEqual({
      admitted: false,
      status: 401,
      error: 'missing authorization',
      code: 'credentials_missing',
      challenges: ['Basic realm="web", charset="UTF-8"'],
    })
    const odd = gate.judge({ ...from([]), endpoint: 'a"b\\cä' })
    expect(odd).toMatchObject({
      challenges: ['Basic realm="a\\"b\\\\c?", charset="UTF-8"'],
    })
  })

  test('let the right one in, at once when it comes again', async () => {
    const gate = new Gate(policy, parts())
    const first = gate.judge(from(basic('ann:secret')))
    expect(first).toBeInstanceOf(Promise)
    expect(await first).toEqual({ admitted: true, consumed: true })
    expect(gate.judge(from(basic('ann:secret'), '198.51.100.9'))).toEqual({
      admitted: true,
      consumed: true,
    })
  })

  test.each([
    'ann:wrong',
    'bob:secret',
    'Ann:secret',
    'ann:',
    ':secret',
    'ann:secret ',
    'ann%20:secret',
  ])('keep %j out', async (pair) => {
    const verdict = await new Gate(policy, parts()).judge(from(basic(pair)))
    expect(verdict).toMatchObject({ status: 401, code: 'credentials_wrong' })
  })

  test('refuse two Authorization headers, whatever they are and however they are spelt', () => {
    const gate = new Gate(policy, parts())
    const two = [...basic('ann:secret'), 'AUTHORIZATION', 'Bearer x']
    expect(gate.judge(from(two))).toMatchObject({ status: 400, code: 'authorization_repeated' })
  })

  test('bound the failures of a source, not those who are in already', async () => {
    const gate = new Gate(policy, parts())
    await gate.judge(from(basic('ann:secret')))
    await gate.judge(from(basic('ann:1')))
    await gate.judge(from(basic('ann:2')))
    const third = await gate.judge(from(basic('ann:3')))
    expect(third).toMatchObject({
      status: 429,
      code: 'too_many_failures',
      retryAfterMs: 6000,
    })
    expect(gate.judge(from(basic('ann:secret')))).toMatchObject({ admitted: true })
    const elsewhere = await gate.judge(from(basic('ann:3'), '192.0.2.2'))
    expect(elsewhere).toMatchObject({ status: 401 })
  })

  test('attempts at the same time count each', async () => {
    const gate = new Gate(policy, parts())
    const all = [1, 2, 3, 4].map(async (n) => await gate.judge(from(basic(`ann:${n}`))))
    const statuses = (await Promise.all(all)).map((one) => ('status' in one ? one.status : 0))
    expect(statuses).toEqual([401, 401, 429, 429])
  })

  test('answer 503 when too many are being checked', async () => {
    const shared = {
      checks: new PasswordChecks({ maxRunning: 1, maxWaiting: 0 }),
      failures: new SourceLimiter({ burst: 1, perMinute: 10 }),
    }
    const gate = new Gate(policy, shared)
    const first = gate.judge(from(basic('ann:1')))
    expect(gate.judge(from(basic('ann:2'), '192.0.2.2'))).toMatchObject({
      status: 503,
      code: 'checks_busy',
      retryAfterMs: 1000,
    })
    await first
    // It was not judged, so it did not fail either.
    expect(await gate.judge(from(basic('ann:2'), '192.0.2.2'))).toMatchObject({ status: 401 })
  })

  test('let no bare connection pass', () => {
    expect(new Gate(policy, parts()).admitsConnection('192.0.2.1')).toBe(false)
  })
})

describe('tokens', () => {
  const pair = generateKeyPairSync('ed25519')
  const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString()
  const policy = parsePolicy({
    jwt: { eddsaPublicKey: pem(pair.publicKey), audience: 'web-visitors' },
  })
  const signed = (claims: object, key = pair.privateKey, header: object = { alg: 'EdDSA' }) => {
    const parts = [header, { aud: 'web-visitors', ...claims }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    )
    const input = parts.join('.')
    return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
  }
  const bearer = (token: string) => from(['Authorization', `Bearer ${token}`])
  const soon = Math.floor(Date.now() / 1000) + 600

  test('that are good let in, and stay here', async () => {
    const gate = new Gate(policy, parts())
    const verdict = { admitted: true, consumed: true }
    expect(await gate.judge(bearer(signed({ exp: soon })))).toEqual(verdict)
    expect(await gate.judge(bearer(signed({ piko: { endpoints: ['web'] } })))).toEqual(verdict)
    expect(gate.admitsConnection('192.0.2.1')).toBe(false)
  })

  test.each([
    ['another key', () => signed({}, generateKeyPairSync('ed25519').privateKey), 'token_invalid'],
    ['another audience', () => signed({ aud: 'others' }), 'token_invalid'],
    ['no end yet', () => signed({ nbf: soon }), 'token_invalid'],
    ['an end that is past', () => signed({ exp: 1 }), 'token_expired'],
    ['another endpoint', () => signed({ piko: { endpoints: ['db'] } }), 'token_not_permitted'],
    ['no right to connect', () => signed({ adit: { may: ['listen'] } }), 'token_not_permitted'],
    [
      'no signature',
      () => `${signed({}, undefined, { alg: 'none' }).split('.', 2).join('.')}.`,
      'token_invalid',
    ],
    [
      'the public key as a secret',
      () => {
        const [head, body] = signed({}, undefined, { alg: 'HS256' }).split('.')
        const mac = createHmac('sha256', pem(pair.publicKey)).update(`${head}.${body}`)
        return `${head}.${body}.${mac.digest('base64url')}`
      },
      'token_invalid',
    ],
    ['no token', () => 'x', 'token_invalid'],
  ])('with %s are refused', async (_, token, code) => {
    const verdict = await new Gate(policy, parts()).judge(bearer(token()))
    expect(verdict).toMatchObject({
      status: 401,
      code,
      challenges: ['Bearer realm="web"'],
    })
  })

  test('beside passwords: either is enough, and both are offered', async () => {
    const both = new Gate({ ...policy, basicAuth: [{ user: 'ann', verifier }] }, parts())
    expect(await both.judge(bearer(signed({})))).toMatchObject({ admitted: true })
    expect(await both.judge(from(basic('ann:secret')))).toMatchObject({ admitted: true })
    expect(both.judge(from([]))).toMatchObject({
      challenges: ['Basic realm="web", charset="UTF-8"', 'Bearer realm="web"'],
    })
  })

  test('of which a password policy knows nothing are wrong', async () => {
    const gate = new Gate({ basicAuth: [{ user: 'ann', verifier }] }, parts())
    expect(await gate.judge(bearer(signed({})))).toMatchObject({ code: 'credentials_wrong' })
  })

  test('cannot be judged while the keys are out of reach: 503', async () => {
    const jwks = { endpoint: 'file:///nowhere/keys.json', cacheTtlMs: 1000, timeoutMs: 1000 }
    const gate = new Gate({ jwt: { jwks } }, parts())
    expect(
      await gate.judge(bearer(signed({}, undefined, { alg: 'EdDSA', kid: 'a' }))),
    ).toMatchObject({
      status: 503,
      code: 'token_keys_unavailable',
    })
  })

  test('by a secret are judged where the secret is', async () => {
    const gate = new Gate({ jwt: { hmacSecretKey: 'a secret of thirty-two characters' } }, parts())
    const [head = '', body = ''] = signed({}, undefined, { alg: 'HS256' }).split('.')
    const mac = createHmac('sha256', 'a secret of thirty-two characters').update(`${head}.${body}`)
    const token = `${head}.${body}.${mac.digest('base64url')}`
    expect(await gate.judge(bearer(token))).toMatchObject({ admitted: true })
  })
})

describe('addresses', () => {
  const gate = new Gate({ allow: ['192.0.2.0/24'], deny: ['192.0.2.66'] }, parts())

  test('are judged before anything else', () => {
    expect(gate.judge(from([]))).toEqual({ admitted: true, consumed: false })
    expect(gate.judge(from(basic('ann:secret'), '192.0.2.66'))).toMatchObject({
      status: 403,
      code: 'address_denied',
    })
    expect(gate.judge({ headers: [], endpoint: 'web', address: undefined })).toMatchObject({
      status: 403,
    })
  })

  test('count for bare connections too', () => {
    expect(gate.admitsConnection('::ffff:192.0.2.1')).toBe(true)
    expect(gate.admitsConnection('198.51.100.1')).toBe(false)
    expect(gate.admitsConnection(undefined)).toBe(false)
  })
})

test('of several gates all must open, and the first that does not answers', async () => {
  const shared = parts()
  const near = new Gate({ allow: ['192.0.2.0/24'] }, shared)
  const known = new Gate({ basicAuth: [{ user: 'ann', verifier }] }, shared)
  const request = from(basic('ann:secret'))
  expect(await judgeAll([near, known, near], request)).toEqual({ admitted: true, consumed: true })
  expect(await judgeAll([known, near], { ...request, address: '198.51.100.1' })).toMatchObject({
    status: 403,
  })
  expect(judgeAll([near, known], from([]))).toMatchObject({ status: 401 })
  expect(judgeAll([], request)).toEqual({ admitted: true, consumed: false })
})

describe('a policy from elsewhere', () => {
  test('is read as it is', () => {
    const policy = {
      allow: ['10.0.0.0/8'],
      deny: ['10.0.0.1'],
      basicAuth: [{ user: 'ann', verifier }],
    }
    expect(parsePolicy(JSON.parse(JSON.stringify(policy)))).toEqual(policy)
    expect(parsePolicy({})).toEqual({})
    expect(parsePolicy({ allow: [] })).toEqual({ allow: [] })
    const ids = [policy, {}, { allow: [] }].map((one) => new Gate(parsePolicy(one), parts()).id)
    expect(new Set(ids).size).toBe(3)
  })

  test('has bounded lists', () => {
    const deny = Array.from({ length: MAX_BLOCKS + 1 }, () => '10.0.0.1')
    expect(() => parsePolicy({ deny })).toThrow('over 256 entries')
  })

  test.each([
    'none',
    null,
    [],
    { alow: ['10.0.0.0/8'] },
    { allow: '10.0.0.0/8' },
    { allow: [10] },
    { allow: ['10.0.0.0/33'] },
    { deny: ['printer'] },
    { jwt: {} },
    { jwt: { hmacSecretKey: 'secret' } },
    { jwt: { jwks: { endpoint: 'http://169.254.169.254/secret' } } },
    { jwt: { rsaPublicKey: 'secret' } },
    { jwt: { rsaPublicKey: ['secret'] } },
    { basicAuth: {} },
    { basicAuth: [] },
    { basicAuth: ['ann'] },
    { basicAuth: [{ user: 'ann', verifier: 'secret' }] },
    { basicAuth: [{ user: 'ann', password: 'secret' }] },
    { basicAuth: [{ user: 'a:b', verifier }] },
    { basicAuth: [{ user: 'ann', verifier, password: 'secret' }] },
    {
      basicAuth: [
        { user: 'ann', verifier },
        { user: 'ann', verifier },
      ],
    },
  ])('that is not understood is VISITORS_POLICY_INVALID: %j', (value) => {
    let said: unknown
    try {
      parsePolicy(value)
    } catch (error) {
      said = error
    }
    expect(isAuthError(said, 'VISITORS_POLICY_INVALID')).toBe(true)
    expect(String(said)).not.toContain('secret')
  })
})

test('gates that demand different tokens are different', () => {
  const idOf = (audience: string): string =>
    new Gate({ jwt: { hmacSecretKey: 'secret', audience } }, parts()).id
  expect(idOf('us')).toBe(idOf('us'))
  expect(idOf('us')).not.toBe(idOf('them'))
})
