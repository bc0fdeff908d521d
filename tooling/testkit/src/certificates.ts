// A certificate authority that lives for one test run: no key is ever committed. Keys are P-256,
// which takes about a millisecond to make; everything is synchronous. RFC 5280 says what is in a
// certificate, RFC 5758 and RFC 5480 how an EC one is signed.
import {
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
  X509Certificate,
} from 'node:crypto'
import { isIP, isIPv4 } from 'node:net'
import { der } from './der.ts'

/** A certificate with its key, both PEM, as `tls` options take them. */
export interface CertificateAndKey {
  /** The certificate, followed by its intermediates, if any. */
  readonly cert: string
  /** Its private key, PKCS #8. */
  readonly key: string
}

/** What an issued certificate says. */
export interface CertificateOptions {
  /** Common name of the subject. */
  readonly name: string
  /** Host names, IP addresses and URIs it is for. Default: localhost, 127.0.0.1 and ::1. */
  readonly hosts?: readonly string[]
  /** What it may be used for. Default: server. */
  readonly usage?: 'server' | 'client' | 'both'
  /** Start of its validity. Default: an hour ago. */
  readonly notBefore?: Date
  /** End of its validity. Default: in a day. */
  readonly notAfter?: Date
  /** Makes its key one of RSA with so many bits. Default: P-256. */
  readonly rsaBits?: number
}

/** An authority: its own certificate to be trusted, and what it can issue. */
export interface CertificateAuthority {
  /** Its certificate, PEM: the `ca` option of a peer that trusts it. */
  readonly cert: string
  /** Issues a server or client certificate; below an intermediate, `cert` holds the chain. */
  issue(options: CertificateOptions): CertificateAndKey
  /** Issues an authority below this one, whose own certificate a server must send along. */
  intermediate(name: string): CertificateAuthority
  /** A list of revoked certificates of this authority, PEM (RFC 5280 section 5.1, version 1). */
  revoke(...certificates: readonly CertificateAndKey[]): string
}

const HOUR_MS = 3_600_000
const ECDSA_SHA256 = der.sequence(der.oid('1.2.840.10045.4.3.2'))
const OID = {
  commonName: '2.5.4.3',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
} as const

/** Makes a self-signed authority. */
export function certificateAuthority(name = 'Adit test authority'): CertificateAuthority {
  return authority(name, undefined)
}

interface Issuer {
  readonly name: string
  readonly privateKey: KeyObject
  /** Certificates to be sent after an issued one; none below a root. */
  readonly chain: string
}

function authority(name: string, parent: Issuer | undefined): CertificateAuthority {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const cert = certificate(name, privateKey, parent ?? { name, privateKey, chain: '' }, {
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 24 * HOUR_MS),
    extensions: [
      extension(OID.basicConstraints, true, der.sequence(der.boolean(true))),
      // keyCertSign and cRLSign: bits 5 and 6
      extension(OID.keyUsage, true, der.bits(Buffer.from([0b0000_0110]), 1)),
    ],
  })
  const self: Issuer = { name, privateKey, chain: parent ? cert + parent.chain : '' }
  return {
    cert,
    issue: (options) => leaf(options, self),
    intermediate: (below) => authority(below, self),
    revoke: (...certificates) => revocationList(certificates, self),
  }
}

function leaf(options: CertificateOptions, issuer: Issuer): CertificateAndKey {
  const { name, hosts = ['localhost', '127.0.0.1', '::1'], usage = 'server' } = options
  const usages = usage === 'both' ? (['server', 'client'] as const) : [usage]
  const { privateKey } =
    options.rsaBits === undefined
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: options.rsaBits })
  const cert = certificate(name, privateKey, issuer, {
    notBefore: options.notBefore ?? new Date(Date.now() - HOUR_MS),
    notAfter: options.notAfter ?? new Date(Date.now() + 24 * HOUR_MS),
    extensions: [
      extension(OID.keyUsage, true, der.bits(Buffer.from([0b1000_0000]), 7)), // digitalSignature
      extension(
        OID.extendedKeyUsage,
        false,
        der.sequence(...usages.map((one) => der.oid(OID[one]))),
      ),
      extension(OID.subjectAltName, false, der.sequence(...hosts.map(alternativeName))),
    ],
  })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert: cert + issuer.chain, key }
}

function revocationList(certificates: readonly CertificateAndKey[], issuer: Issuer): string {
  const at = der.time(new Date(Date.now() - HOUR_MS))
  const entries = certificates.map(({ cert }) =>
    der.sequence(der.integer(Buffer.from(new X509Certificate(cert).serialNumber, 'hex')), at),
  )
  const toBeSigned = der.sequence(
    ECDSA_SHA256,
    distinguishedName(issuer.name),
    at,
    der.time(new Date(Date.now() + HOUR_MS)),
    ...(entries.length > 0 ? [der.sequence(...entries)] : []),
  )
  const signature = sign('sha256', toBeSigned, issuer.privateKey)
  return pem(der.sequence(toBeSigned, ECDSA_SHA256, der.bits(signature)), 'X509 CRL')
}

interface CertificateBody {
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: readonly Buffer[]
}

function certificate(name: string, key: KeyObject, issuer: Issuer, body: CertificateBody): string {
  const serial = randomBytes(16)
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f) // positive, and never with a leading zero byte
  const toBeSigned = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))), // version 3
    der.integer(serial),
    ECDSA_SHA256,
    distinguishedName(issuer.name),
    der.sequence(der.time(body.notBefore), der.time(body.notAfter)),
    distinguishedName(name),
    createPublicKey(key).export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...body.extensions)),
  )
  const signature = sign('sha256', toBeSigned, issuer.privateKey)
  return pem(der.sequence(toBeSigned, ECDSA_SHA256, der.bits(signature)))
}

function distinguishedName(name: string): Buffer {
  return der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8(name))))
}

function extension(id: string, critical: boolean, value: Uint8Array): Buffer {
  const flag = critical ? [der.boolean(true)] : []
  return der.sequence(der.oid(id), ...flag, der.octets(value))
}

function alternativeName(host: string): Buffer {
  if (host.includes('://')) return der.implicit(6, Buffer.from(host, 'latin1'))
  if (isIP(host) === 0) return der.implicit(2, Buffer.from(host, 'latin1'))
  return der.implicit(7, addressBytes(host))
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const [head = '', tail = ''] = address.split('::')
  const missing = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

function groups(part: string): string[] {
  return part.split(':').filter((group) => group !== '')
}

function pem(bytes: Uint8Array, label = 'CERTIFICATE'): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
