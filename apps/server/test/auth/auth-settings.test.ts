import { generateKeyPairSync, type KeyObject } from 'node:crypto'

import { formatProblems, loadSettings } from '@proj/config'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { pikoFiles } from '../../src/commands/piko-files.ts'
import { settings } from '../../src/settings.ts'

const PEM =
  '-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\\n-----END PUBLIC KEY-----'

/** What loading a file says, and what it holds. */
async function load(text: string, asPiko = false) {
  using directory = temporaryDirectory()
  const path = directory.write('server.yaml', text)
  const file = asPiko ? { path, dialect: pikoFiles(settings).dialect({ expandEnv: false }) } : path
  const loaded = await loadSettings(settings, { cwd: directory.path, files: [file] })
  const said = formatProblems(loaded.problems).replaceAll(directory.path, '')
  return { loaded, said }
}

describe('the settings of authorisation', () => {
  test.for([
    [
      `upstream: { auth: { rsa_public_key: "${PEM}" } }`,
      'upstream.auth.rsa_public_key: invalid key: rsa_public_key is no public key in PEM',
    ],
    [
      'proxy: { auth: { eddsa_public_key: junk } }',
      'proxy.auth.eddsa_public_key: invalid key: eddsa_public_key is no public key in PEM',
    ],
    [
      'admin: { auth: { jwks: { endpoint: "http://a:b@c/" } } }',
      'admin.auth.jwks.endpoint: invalid key: the URL of the key set holds a user name',
    ],
    [
      'admin: { auth: { jwks: { endpoint: "ftp://c/" } } }',
      'admin.auth.jwks.endpoint: "ftp://c/" is not allowed here',
    ],
    [
      'upstream: { auth: { hmac_secret_key: s, jwks: { endpoint: "http://c/" } } }',
      'upstream.auth.jwks.endpoint: invalid key: static keys exclude a key set',
    ],
    [
      'upstream: { auth: { audience: us } }',
      'upstream.auth.audience: it is asked of tokens, but no key for them is set',
    ],
    [
      'upstream: { auth: { issuer: me } }',
      'upstream.auth.issuer: it is asked of tokens, but no key for them is set',
    ],
    ['upstream: { tenants: [{ id: a }] }', 'upstream.tenants[0].id: the tenant a has no key'],
    [
      'upstream: { tenants: [{ id: a/b, auth: { hmac_secret_key: s } }] }',
      'upstream.tenants[0].id: "a/b" is not allowed here',
    ],
    [
      'upstream: { tenants: [{ id: a, auth: { hmac_secret_key: s } }, { id: a, auth: { hmac_secret_key: s } }] }',
      'upstream.tenants[1].id: there are two tenants a',
    ],
  ] as const)('of %s are refused', async ([text, message]) => {
    const { loaded, said } = await load(text)
    expect(loaded.ok).toBe(false)
    expect(said).toContain(message)
    expect(said).not.toContain('a:b@')
  })

  const RSA_1024 = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = (key: KeyObject) =>
    JSON.stringify(
      key
        .export(
          key.type === 'public'
            ? { type: 'spki', format: 'pem' }
            : { type: 'pkcs8', format: 'pem' },
        )
        .toString(),
    )

  // The same keys mean the same in each place, and a good key beside the bad one changes nothing.
  describe.for([
    ['proxy.auth', (auth: string) => `proxy: { auth: { ${auth} } }`],
    ['upstream.auth', (auth: string) => `upstream: { auth: { ${auth} } }`],
    ['admin.auth', (auth: string) => `admin: { auth: { ${auth} } }`],
    [
      'upstream.tenants[0].auth',
      (auth: string) => `upstream: { tenants: [{ id: a, auth: { ${auth} } }] }`,
    ],
    [
      'endpoints[0].visitors.jwt',
      (auth: string) => `endpoints: [{ name: web, visitors: { jwt: { ${auth} } } }]`,
    ],
  ] as const)('in %s', ([group, fileOf]) => {
    test.for([
      [
        'a text that is no key',
        `hmac_secret_key: s, rsa_public_key: "${PEM}"`,
        'rsa_public_key: invalid key: rsa_public_key is no public key in PEM',
      ],
      [
        'a private key',
        `hmac_secret_key: s, rsa_public_key: ${pem(rsa.privateKey)}`,
        'rsa_public_key: invalid key: rsa_public_key is a private key',
      ],
      [
        'an RSA key of 1024 bits',
        `hmac_secret_key: s, rsa_public_key: ${pem(RSA_1024.publicKey)}`,
        'rsa_public_key: invalid key: rsa_public_key has 1024 bits, at least 2048 are needed',
      ],
      [
        'an RSA key in the place of an EC key',
        `rsa_public_key: ${pem(rsa.publicKey)}, ecdsa_public_key: ${pem(rsa.publicKey)}`,
        'ecdsa_public_key: invalid key: ecdsa_public_key is a key of the kind rsa',
      ],
      [
        'a bad key between a good and an empty one',
        `hmac_secret_key: s, ecdsa_public_key: ${pem(rsa.publicKey)}, eddsa_public_key: ""`,
        'ecdsa_public_key: invalid key: ecdsa_public_key is a key of the kind rsa',
      ],
      [
        'junk',
        'hmac_secret_key: s, eddsa_public_key: junk',
        'eddsa_public_key: invalid key: eddsa_public_key is no public key in PEM',
      ],
      [
        'a URL with a password',
        'jwks: { endpoint: "http://a:b@c/" }',
        'jwks.endpoint: invalid key: the URL of the key set holds a user name or password',
      ],
      [
        'a key and a key set',
        'hmac_secret_key: s, jwks: { endpoint: "http://c/" }',
        'jwks.endpoint: invalid key: static keys exclude a key set',
      ],
      [
        'an audience without a key',
        'audience: us',
        'audience: it is asked of tokens, but no key for them is set',
      ],
      [
        'an issuer without a key',
        'audience: "", issuer: me',
        'issuer: it is asked of tokens, but no key for them is set',
      ],
    ] as const)('%s is told under its key', async ([, auth, message]) => {
      const { loaded, said } = await load(fileOf(auth))
      expect(loaded.ok).toBe(false)
      expect(said).toContain(`${group}.${message}`)
      expect(said).not.toMatch(/PublicKey|SecretKey|keySet|a:b@/)
    })
  })

  test('of a Piko file are taken as they are', async () => {
    const { loaded, said } = await load(
      [
        'upstream:',
        '  auth: { hmac_secret_key: hunter-one, audience: us, disable_disconnect_on_expiry: true }',
        '  tenants:',
        '  - { id: acme, auth: { hmac_secret_key: hunter-two, issuer: me, jwks: { cache_ttl: 0s } } }',
        'proxy: { auth: { jwks: { endpoint: "https://issuer.example/jwks.json", timeout: 5s } } }',
        'admin: { auth: { hmac_secret_key: hunter-three } }',
      ].join('\n'),
      true,
    )
    if (!loaded.ok) throw new Error(said)
    const { upstream, proxy, admin } = loaded.settings
    expect(upstream.auth.hmacSecretKey?.reveal()).toBe('hunter-one')
    expect(upstream.auth).toMatchObject({ audience: 'us', disableDisconnectOnExpiry: true })
    expect(upstream.tenants).toMatchObject([{ id: 'acme', auth: { issuer: 'me' } }])
    expect(upstream.tenants[0]?.auth.hmacSecretKey?.reveal()).toBe('hunter-two')
    expect(proxy.auth.jwks).toMatchObject({
      endpoint: 'https://issuer.example/jwks.json',
      timeoutMs: 5000,
    })
    expect(admin.auth.hmacSecretKey?.reveal()).toBe('hunter-three')
    expect(said).toContain('upstream.tenants[].id: names of tenants are kept apart here')
    expect(said).toContain('upstream.tenants: agents name their tenant then')
    expect(JSON.stringify(loaded)).not.toMatch(/hunter/)
  })
})
