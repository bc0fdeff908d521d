import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, test } from 'vitest'

import { TLS_FAULTS } from '../../src/tls/tls-faults.ts'
import { readTlsMaterial, type TlsSources } from '../../src/tls/tls-material.ts'

const authority = certificateAuthority()
const good = authority.issue({ name: 'good' })
const HOUR_MS = 3_600_000

/** Files by name, read as the TLS of one port; answers with the mistakes. */
async function faultsOf(
  files: Readonly<Record<string, string>>,
  sources: Partial<TlsSources> = {},
): Promise<readonly [code: string, setting: string, message: string][]> {
  using folder = temporaryDirectory()
  for (const [name, content] of Object.entries(files)) folder.write(name, content)
  const at = (file: string): string => join(folder.path, file)
  const { clientCas, clientCrl } = sources
  const material = await readTlsMaterial({
    minVersion: 'TLSv1.2',
    cert: (sources.cert ?? ['cert.pem']).map(at),
    key: (sources.key ?? ['key.pem']).map(at),
    clientCas: clientCas === undefined ? undefined : at(clientCas),
    clientCrl: clientCrl === undefined ? undefined : at(clientCrl),
  })
  if (!Array.isArray(material)) return []
  return material.map(({ code, setting, message }) => [
    code,
    setting,
    message.replaceAll(`${folder.path}/`, ''),
  ])
}

function pem(label: string): string {
  return `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`
}

const encrypted = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' },
}).privateKey

const cases: readonly (readonly [
  name: string,
  files: Readonly<Record<string, string>>,
  expected: readonly (readonly [string, string, string])[],
])[] = [
  ['a certificate and its key', { 'cert.pem': good.cert, 'key.pem': good.key }, []],
  [
    'a file that is not there',
    { 'key.pem': good.key },
    [
      [
        'TLS_FILE_UNREADABLE',
        'cert',
        "cannot read cert.pem: ENOENT: no such file or directory, open 'cert.pem'",
      ],
    ],
  ],
  [
    'a file that has grown beyond every certificate',
    { 'cert.pem': 'x'.repeat(1024 * 1024 + 1), 'key.pem': good.key },
    [['TLS_FILE_UNREADABLE', 'cert', 'cannot read cert.pem: it has more than 1048576 bytes']],
  ],
  [
    'no certificate',
    { 'cert.pem': good.key, 'key.pem': good.key },
    [['TLS_CERTIFICATE_INVALID', 'cert', 'cert.pem holds no certificate']],
  ],
  [
    'a broken certificate in a chain',
    { 'cert.pem': good.cert + pem('CERTIFICATE'), 'key.pem': good.key },
    [['TLS_CERTIFICATE_INVALID', 'cert', 'cert.pem holds a certificate that cannot be read']],
  ],
  [
    'the key of another',
    { 'cert.pem': good.cert, 'key.pem': authority.issue({ name: 'other' }).key },
    [['TLS_KEY_MISMATCH', 'key', 'the key in key.pem is not that of the certificate in cert.pem']],
  ],
  [
    'a chain the wrong way round',
    { 'cert.pem': authority.cert + good.cert, 'key.pem': good.key },
    [['TLS_KEY_MISMATCH', 'key', 'the key in key.pem is that of a later certificate in cert.pem']],
  ],
  [
    'an encrypted key',
    { 'cert.pem': good.cert, 'key.pem': encrypted },
    [['TLS_KEY_ENCRYPTED', 'key', 'the key in key.pem is encrypted']],
  ],
  [
    'an encrypted key of the old form',
    {
      'cert.pem': good.cert,
      'key.pem':
        '-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC PRIVATE KEY-----\n',
    },
    [['TLS_KEY_ENCRYPTED', 'key', 'the key in key.pem is encrypted']],
  ],
  [
    'a broken key, of which nothing is repeated',
    { 'cert.pem': good.cert, 'key.pem': pem('PRIVATE KEY') },
    [['TLS_KEY_INVALID', 'key', 'key.pem holds no private key that can be read']],
  ],
]

describe('the files of a port', () => {
  test.for(cases)('%s', async ([, files, expected]) => {
    expect(await faultsOf(files)).toEqual(expected)
  })

  for (const [name, dates] of [
    ['has expired', { notAfter: new Date(Date.now() - 1000) }],
    ['is not valid yet', { notBefore: new Date(Date.now() + HOUR_MS) }],
  ] as const) {
    test(`a certificate that ${name}`, async () => {
      const { cert, key } = authority.issue({ name: 'x', ...dates })
      expect(await faultsOf({ 'cert.pem': cert, 'key.pem': key })).toEqual([
        [
          'TLS_CERTIFICATE_OUT_OF_DATE',
          'cert',
          expect.stringMatching(/^the certificate in cert\.pem is valid from .+ to .+$/),
        ],
      ])
    })
  }

  test('a certificate that OpenSSL refuses, with its reason', async () => {
    const weak = authority.issue({ name: 'weak', rsaBits: 512 })
    expect(await faultsOf({ 'cert.pem': weak.cert, 'key.pem': weak.key })).toEqual([
      ['TLS_PAIR_REFUSED', 'cert', 'OpenSSL refuses cert.pem: ee key too small'],
    ])
  })

  test('a file of another user', async ({ skip }) => {
    skip(process.getuid?.() === 0, 'root may read everything')
    using folder = temporaryDirectory()
    const cert = folder.write('cert.pem', good.cert)
    chmodSync(cert, 0)
    const sources = {
      cert: [cert],
      key: [cert],
      clientCas: undefined,
      minVersion: 'TLSv1.2',
    } as const
    expect(await readTlsMaterial(sources)).toMatchObject([{ code: 'TLS_FILE_UNREADABLE' }])
  })

  test('a directory is no file', async () => {
    using folder = temporaryDirectory()
    const cert = join(folder.path, 'd')
    mkdirSync(cert)
    const sources = {
      cert: [cert],
      key: [cert],
      clientCas: undefined,
      minVersion: 'TLSv1.2',
    } as const
    expect(await readTlsMaterial(sources)).toMatchObject([
      { code: 'TLS_FILE_UNREADABLE', message: `cannot read ${cert}: it is no regular file` },
    ])
  })

  test('every mistake is found in one go, that of the authorities too', async () => {
    const files = { 'a.pem': good.cert, 'a.key': encrypted, 'cas.pem': 'nothing' }
    const sources = { cert: ['a.pem', 'b.pem'], key: ['a.key', 'b.key'], clientCas: 'cas.pem' }
    const codes = (await faultsOf(files, sources)).map(([code, setting]) => `${code} ${setting}`)
    expect(codes.toSorted()).toEqual([
      'TLS_CERTIFICATE_INVALID client_cas',
      'TLS_FILE_UNREADABLE cert',
      'TLS_KEY_ENCRYPTED key',
    ])
  })

  test.for([
    ['nothing', 'crl.pem holds no list of revoked certificates'],
    [pem('X509 CRL'), 'crl.pem holds a list of revoked certificates that cannot be read'],
    [
      authority.revoke() + pem('X509 CRL'),
      'crl.pem holds a list of revoked certificates that cannot be read',
    ],
  ] as const)('a list of revoked certificates that is none: %#', async ([crl, message]) => {
    const files = { 'cert.pem': good.cert, 'key.pem': good.key, 'crl.pem': crl }
    expect(await faultsOf(files, { clientCrl: 'crl.pem' })).toEqual([
      ['TLS_CRL_INVALID', 'client_crl', message],
    ])
  })

  test('each fault has a hint', () => {
    for (const hint of Object.values(TLS_FAULTS)) expect(hint).toMatch(/\w/)
  })
})
