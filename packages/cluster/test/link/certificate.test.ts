import { createHash, X509Certificate } from 'node:crypto'

import { certificateAuthority } from '@proj/testkit/certificates'
import { describe, expect, test } from 'vitest'

import { makeLinkCertificate, readLinkCertificate } from '../../src/link/certificate.ts'

describe('a certificate made at start', () => {
  test('is self-signed, of P-256, without an end of its own', () => {
    const { cert, key, fingerprint } = makeLinkCertificate('node n1')
    const read = new X509Certificate(cert)
    expect(read.subject).toBe('CN=node n1')
    expect(read.issuer).toBe('CN=node n1')
    expect(read.publicKey.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect(read.verify(read.publicKey)).toBe(true)
    expect(read.validTo).toBe('Dec 31 23:59:59 9999 GMT')
    expect(fingerprint).toBe(createHash('sha256').update(read.raw).digest('hex'))
    expect(fingerprint).toBe(read.fingerprint256.replaceAll(':', '').toLowerCase())
    expect(readLinkCertificate(cert, key)).toEqual({ cert, key, fingerprint })
  })

  test.each(['', 'n', 'é\0"', 'x'.repeat(65), '%s'.repeat(32)])('has any name: %j', (name) => {
    const read = new X509Certificate(makeLinkCertificate(name).cert)
    expect(read.verify(read.publicKey)).toBe(true)
  })

  test('is another one each time', () => {
    const made = Array.from({ length: 20 }, () => makeLinkCertificate('n'))
    expect(new Set(made.map(({ fingerprint }) => fingerprint)).size).toBe(20)
    expect(new Set(made.map(({ cert }) => new X509Certificate(cert).serialNumber)).size).toBe(20)
  })
})

test('a certificate with the key of another is not taken', () => {
  const ca = certificateAuthority()
  const [one, other] = [ca.issue({ name: 'one' }), ca.issue({ name: 'other' })]
  expect(() => readLinkCertificate(one.cert, other.key)).toThrow('not that of the certificate')
  expect(() => readLinkCertificate('x', one.key)).toThrow(/./)
})
