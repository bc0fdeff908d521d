import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { isAuthError } from '../../src/errors.ts'
import { JwtVerifier, type JwtVerifierOptions } from '../../src/jwt/jwt-verifier.ts'
import { KeySet } from '../../src/jwt/key-set.ts'
import { scopePermits } from '../../src/rights/scope.ts'
import { jwt, PAIRS, pemOf } from '../signing.ts'

const SECRET = 'a secret of the test, long enough for HS512 and everything else that comes'
const NOW = 1_700_000_000
const now = (): number => NOW * 1000
const ALL_KEYS: JwtVerifierOptions = {
  hmacSecretKey: SECRET,
  rsaPublicKey: pemOf(PAIRS.rsa),
  ecdsaPublicKey: pemOf(PAIRS.p256),
  eddsaPublicKey: pemOf(PAIRS.ed25519),
  now,
}

/** What a verifier says to a token: `good`, or the text a peer is told. */
async function verdict(options: JwtVerifierOptions, token: string): Promise<string> {
  try {
    await new JwtVerifier({ now, ...options }).verify(token)
    return 'good'
  } catch (error) {
    if (!isAuthError(error)) throw error
    return error.text
  }
}

describe('the signature', () => {
  it.each([
    ['HS256', SECRET],
    ['HS384', SECRET],
    ['HS512', SECRET],
    ['RS256', PAIRS.rsa],
    ['RS384', PAIRS.rsa],
    ['RS512', PAIRS.rsa],
    ['ES256', PAIRS.p256],
    ['EdDSA', PAIRS.ed25519],
    ['Ed25519', PAIRS.ed25519],
  ] as const)('of %s is good with its key among others', async (alg, key) => {
    expect(await verdict(ALL_KEYS, jwt(alg, key, {}))).toBe('good')
  })

  it.each([
    ['ES384', PAIRS.p384],
    ['ES512', PAIRS.p521],
  ] as const)('of %s is good with a key of its curve', async (alg, key) => {
    expect(await verdict({ ecdsaPublicKey: pemOf(key) }, jwt(alg, key, {}))).toBe('good')
  })

  it.each([
    ['HS256', `${SECRET}!`],
    ['HS512', ''],
    ['RS256', PAIRS.otherRsa],
    ['RS512', PAIRS.otherRsa],
    ['ES256', PAIRS.otherP256],
    ['ES384', PAIRS.p384],
    ['EdDSA', PAIRS.otherEd25519],
  ] as const)('of %s with another key is not', async (alg, key) => {
    expect(await verdict(ALL_KEYS, jwt(alg, key, {}))).toBe('invalid token')
  })

  it.each([
    ['none', SECRET],
    ['PS256', PAIRS.rsa],
    ['PS384', PAIRS.rsa],
    ['PS512', PAIRS.rsa],
    ['HS1', SECRET],
  ] as const)('of %s is refused', async (alg, key) => {
    const token = alg === 'HS1' ? jwt('HS256', key, {}, { alg }) : jwt(alg, key, {})
    expect(await verdict(ALL_KEYS, token)).toBe('invalid token')
  })

  it('of an algorithm without a key is refused', async () => {
    const { hmacSecretKey: _, ...others } = ALL_KEYS
    expect(await verdict(others, jwt('HS256', SECRET, {}))).toBe('invalid token')
  })

  it('made with the text of a public key as HMAC secret is refused', async () => {
    const { hmacSecretKey: _, ...others } = ALL_KEYS
    const forged = jwt('HS256', pemOf(PAIRS.rsa), {})
    expect(await verdict(others, forged)).toBe('invalid token')
    expect(await verdict(ALL_KEYS, forged)).toBe('invalid token')
  })

  it.each(['', '.', '..', 'a.b.c', 'not a token', 'x'.repeat(8193), '\u0000'])(
    'is missing in %.20j',
    async (token) => {
      expect(await verdict(ALL_KEYS, token)).toBe('invalid token')
    },
  )

  it('is looked at up to 8 KiB of token', async () => {
    const sized = (bytes: number): string => {
      let claims = { pad: '' }
      const base = jwt('HS256', SECRET, claims).length
      claims = { pad: 'x'.repeat(Math.floor(((bytes - base) * 3) / 4)) }
      return jwt('HS256', SECRET, claims)
    }
    const token = sized(8192)
    expect(token.length).toBeGreaterThan(8180)
    expect(token.length).toBeLessThanOrEqual(8192)
    expect(await verdict(ALL_KEYS, token)).toBe('good')
    expect(await verdict(ALL_KEYS, sized(8200))).toBe('invalid token')
  })
})

describe('the claims', () => {
  const judged = (options: JwtVerifierOptions, claims: unknown): Promise<string> =>
    verdict({ hmacSecretKey: SECRET, ...options }, jwt('HS256', SECRET, claims))

  it.each([
    ['exp in a second', { exp: NOW + 1 }, 'good'],
    ['exp now', { exp: NOW }, 'expired token'],
    ['exp a second ago', { exp: NOW - 1 }, 'expired token'],
    ['exp as text', { exp: `${NOW + 10}` }, 'invalid token'],
    ['nbf now', { nbf: NOW }, 'good'],
    ['nbf in a second', { nbf: NOW + 1 }, 'invalid token'],
    ['iat in the future, which nobody checks', { iat: NOW + 1000 }, 'good'],
    ['no object', [], 'invalid token'],
  ])('with %s: %s', async (_, claims, expected) => {
    expect(await judged({}, claims)).toBe(expected)
  })

  it.each([
    [{ audience: 'us' }, { aud: 'us' }, 'good'],
    [{ audience: 'us' }, { aud: ['them', 'us'] }, 'good'],
    [{ audience: 'us' }, { aud: 'them' }, 'invalid token'],
    [{ audience: 'us' }, {}, 'invalid token'],
    [{}, { aud: 'anyone' }, 'good'],
    [{ issuer: 'me' }, { iss: 'me' }, 'good'],
    [{ issuer: 'me' }, { iss: 'you' }, 'invalid token'],
    [{ issuer: 'me' }, {}, 'invalid token'],
    [{ issuer: '', audience: '' }, {}, 'good'],
    // Piko names the age, whatever else is wrong.
    [{ issuer: 'me' }, { iss: 'you', exp: NOW - 1 }, 'expired token'],
    [{ toleranceMs: 60_000 }, { exp: NOW - 59 }, 'good'],
    [{ toleranceMs: 60_000 }, { exp: NOW - 60 }, 'expired token'],
    [{ toleranceMs: 60_000 }, { nbf: NOW + 60 }, 'good'],
    [{ toleranceMs: 60_000 }, { nbf: NOW + 61 }, 'invalid token'],
    [{ toleranceMs: 60_000, issuer: 'me' }, { iss: 'you', exp: NOW - 59 }, 'invalid token'],
  ])('of %j against %j: %s', async (options, claims, expected) => {
    expect(await judged(options, claims)).toBe(expected)
  })

  it('of a stranger do not say that they are too old', async () => {
    const verifier = new JwtVerifier({ hmacSecretKey: SECRET, now })
    const old = jwt('HS256', 'another secret', { exp: NOW - 1 })
    await expect(verifier.verify(old)).rejects.toMatchObject({ code: 'IDENTITY_TOKEN_INVALID' })
    const ours = jwt('HS256', SECRET, { exp: NOW - 1 })
    await expect(verifier.verify(ours)).rejects.toMatchObject({ code: 'IDENTITY_TOKEN_EXPIRED' })
  })

  it('of who somebody is give no rights', async () => {
    const verifier = new JwtVerifier({ hmacSecretKey: SECRET, now })
    const claims = { sub: 'ada', groups: ['admins'], nonce: 'n', exp: NOW + 60 }
    expect(await verifier.claims(jwt('HS256', SECRET, claims))).toEqual(claims)
    const other = verifier.claims(jwt('HS256', 'another secret', claims))
    await expect(other).rejects.toMatchObject({ code: 'IDENTITY_TOKEN_INVALID' })
  })

  it('say until when the token is good, in ms', async () => {
    const verifier = new JwtVerifier({ hmacSecretKey: SECRET, now })
    expect(await verifier.verify(jwt('HS256', SECRET, { exp: NOW + 60 }))).toMatchObject({
      expiresAt: (NOW + 60) * 1000,
    })
    expect(await verifier.verify(jwt('HS256', SECRET, {}))).not.toHaveProperty('expiresAt')
  })

  it('give everything when they name nothing, as with Piko', async () => {
    const verifier = new JwtVerifier({ hmacSecretKey: SECRET, now })
    const { identity, scope, tenant } = await verifier.verify(jwt('HS256', SECRET, { sub: 'me' }))
    expect({ identity, tenant }).toEqual({ identity: 'jwt', tenant: undefined })
    expect(scopePermits(scope, 'listen', 'any')).toBe(true)
    expect(scopePermits(scope, 'connect', 'any')).toBe(true)
    expect(scopePermits(scope, 'admin')).toBe(true)
  })
})

describe('a key', () => {
  const problem = (options: JwtVerifierOptions): string => {
    try {
      return `none: ${typeof new JwtVerifier(options)}`
    } catch (error) {
      if (!isAuthError(error, 'IDENTITY_KEY_INVALID')) throw error
      return error.message
    }
  }
  const privatePem = PAIRS.rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })

  it.each([
    [{}, 'invalid key: there is none'],
    [{ hmacSecretKey: '' }, 'invalid key: there is none'],
    [{ rsaPublicKey: 'junk' }, 'invalid key: rsaPublicKey is no public key in PEM'],
    [{ rsaPublicKey: pemOf(PAIRS.p256) }, 'invalid key: rsaPublicKey is a key of the kind ec'],
    [{ ecdsaPublicKey: pemOf(PAIRS.rsa) }, 'invalid key: ecdsaPublicKey is a key of the kind rsa'],
    [{ eddsaPublicKey: pemOf(PAIRS.p256) }, 'invalid key: eddsaPublicKey is a key of the kind ec'],
    [{ rsaPublicKey: privatePem }, 'invalid key: rsaPublicKey is a private key'],
    [
      { rsaPublicKey: pemOf(small) },
      'invalid key: rsaPublicKey has 1024 bits, at least 2048 are needed',
    ],
    [
      { hmacSecretKey: SECRET, keySet: new KeySet({ endpoint: 'file:///none' }) },
      'invalid key: static keys exclude a key set',
    ],
  ])('of case %# is refused by its option', (options, message) => {
    expect(problem(options)).toBe(message)
  })

  it('in PKCS 1 is taken, as old tools write it', async () => {
    const rsaPublicKey = PAIRS.rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
    expect(await verdict({ rsaPublicKey }, jwt('RS256', PAIRS.rsa, {}))).toBe('good')
  })

  it('and a token are in no error', async () => {
    const token = jwt('HS256', 'another secret', { sub: 'somebody', exp: NOW - 1 })
    const [head = '', claims = '', signature = ''] = token.split('.')
    const seen: string[] = []
    for (const [options, presented] of [
      [ALL_KEYS, token],
      [{ ...ALL_KEYS, audience: 'x' }, jwt('HS256', SECRET, { sub: 'somebody' })],
      [ALL_KEYS, `${head}.${claims}`],
    ] as const) {
      const error = await new JwtVerifier(options).verify(presented).catch((one: unknown) => one)
      seen.push(inspect(error, { depth: Infinity }), JSON.stringify(error), String(error))
    }
    const text = seen.join('\n')
    for (const secret of [head, claims, signature, 'somebody', SECRET]) {
      expect(text).not.toContain(secret)
    }
    expect(problem({ rsaPublicKey: privatePem })).not.toContain(privatePem.slice(40, 80))
  })
})
