import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'

/** What a node shows on its links. */
export interface LinkCertificate {
  /** PEM, with what is between it and the CA where there is one. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** SHA-256 of the certificate, hex in lower case: `ClusterNode.fingerprint`. */
  readonly fingerprint: string
}

/** RFC 5280 section 4.1.2.5: the certificate has no end of its own; it lives as long as the process. */
const NOT_BEFORE = '20000101000000Z'
const NOT_AFTER = '99991231235959Z'

// RFC 5758 section 3.2, RFC 5280 section 4.1: the parts of a certificate that are the same in all.
const VERSION_3 = Buffer.from('a003020102', 'hex')
const ECDSA_WITH_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex')
const COMMON_NAME = Buffer.from('0603550403', 'hex')

/**
 * Makes a key of P-256 and a self-signed certificate for it. Node can sign, but not put a certificate together;
 * this one has no extension, as its peers know its fingerprint and look at nothing else.
 *
 * @param name - common name, for people who look at the connection, 1 to 64 characters of ASCII.
 */
export function makeLinkCertificate(name: string): LinkCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const serial = randomBytes(16)
  serial[0] = 0x40 | ((serial[0] ?? 0) & 0x3f) // positive, and without a leading zero
  const text = Buffer.from(name.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 64) || '?', 'latin1')
  const subject = der(0x30, der(0x31, der(0x30, COMMON_NAME, der(0x0c, text))))
  const validity = der(0x30, der(0x18, Buffer.from(NOT_BEFORE)), der(0x18, Buffer.from(NOT_AFTER)))
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const body = der(
    0x30,
    VERSION_3,
    der(0x02, serial),
    ECDSA_WITH_SHA256,
    subject,
    validity,
    subject,
    spki,
  )
  const signature = der(0x03, Buffer.of(0), sign('sha256', body, privateKey))
  const cert = new X509Certificate(der(0x30, body, ECDSA_WITH_SHA256, signature))
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { cert: cert.toString(), key, fingerprint: fingerprintOf(cert) }
}

/**
 * Reads a certificate of the operator's own CA.
 *
 * @throws {Error} when it cannot be read, or is not for the key.
 */
export function readLinkCertificate(cert: string, key: string): LinkCertificate {
  const own = new X509Certificate(cert)
  if (!own.checkPrivateKey(createPrivateKey(key))) {
    throw new Error('the key is not that of the certificate')
  }
  return { cert, key, fingerprint: fingerprintOf(own) }
}

/** SHA-256 of a certificate, hex in lower case. */
export function fingerprintOf({ raw }: Pick<X509Certificate, 'raw'>): string {
  return createHash('sha256').update(raw).digest('hex')
}

/** ITU-T X.690: tag, length, value. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, { length: bytes }) => sum + bytes, 0)
  const head = length < 0x80 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]
  if (length >= 0x80 && length < 0x100) head.splice(1, 3, 0x81, length)
  return Buffer.concat([Buffer.from(head), ...parts])
}
