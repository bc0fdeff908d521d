import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

import { certificatesIn, readPemFile } from '@proj/program-kit'

import { TlsFault } from './tls-faults.ts'

/** A certificate with its chain and its key. */
export interface KeyPair {
  /** The certificate itself, without its chain. */
  readonly certificate: X509Certificate
  /** PEM, with the chain. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

const CRL = /-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g

/**
 * Reads a certificate and its key, and makes sure that they belong together and are in date.
 *
 * @throws {TlsFault} with the file in its message, and nothing of the key.
 */
export async function readKeyPair(certFile: string, keyFile: string): Promise<KeyPair> {
  const cert = await readText(certFile, 'cert')
  const [certificate, ...chain] = certificatesOf(cert, certFile, 'cert')
  const key = await readText(keyFile, 'key')
  const privateKey = privateKeyOf(key, keyFile)
  if (!certificate.checkPrivateKey(privateKey)) {
    const later = chain.some((other) => other.checkPrivateKey(privateKey))
    throw new TlsFault(
      'TLS_KEY_MISMATCH',
      'key',
      later
        ? `the key in ${keyFile} is that of a later certificate in ${certFile}`
        : `the key in ${keyFile} is not that of the certificate in ${certFile}`,
    )
  }
  const now = Date.now()
  if (!(Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo))) {
    const { validFrom, validTo } = certificate
    throw new TlsFault(
      'TLS_CERTIFICATE_OUT_OF_DATE',
      'cert',
      `the certificate in ${certFile} is valid from ${validFrom} to ${validTo}`,
    )
  }
  return { certificate, cert, key }
}

/**
 * Reads authorities.
 *
 * @returns each as PEM: in one text of several, Node ignores a broken one without an error.
 * @throws {TlsFault}
 */
export async function readAuthorities(file: string): Promise<readonly string[]> {
  const certificates = certificatesOf(await readText(file, 'client_cas'), file, 'client_cas')
  return certificates.map((certificate) => certificate.toString())
}

/**
 * Reads lists of revoked certificates.
 *
 * @returns each as PEM: of a text with several, Node takes the first.
 * @throws {TlsFault}
 */
export async function readRevocations(file: string): Promise<readonly string[]> {
  const lists = (await readText(file, 'client_crl')).match(CRL) ?? []
  const fail = (why: string): TlsFault =>
    new TlsFault('TLS_CRL_INVALID', 'client_crl', `${file} ${why}`)
  if (lists.length === 0) throw fail('holds no list of revoked certificates')
  for (const list of lists) {
    try {
      createSecureContext({ crl: list })
    } catch {
      throw fail('holds a list of revoked certificates that cannot be read')
    }
  }
  return lists
}

async function readText(file: string, setting: TlsFault['setting']): Promise<string> {
  try {
    return await readPemFile(file)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new TlsFault('TLS_FILE_UNREADABLE', setting, `cannot read ${file}: ${why}`)
  }
}

function certificatesOf(
  pem: string,
  file: string,
  setting: TlsFault['setting'],
): readonly [X509Certificate, ...X509Certificate[]] {
  const fail = (why: string): TlsFault =>
    new TlsFault('TLS_CERTIFICATE_INVALID', setting, `${file} ${why}`)
  let read: readonly X509Certificate[]
  try {
    read = certificatesIn(pem)
  } catch {
    throw fail('holds a certificate that cannot be read')
  }
  const [first, ...rest] = read
  if (first === undefined) throw fail('holds no certificate')
  return [first, ...rest]
}

function privateKeyOf(pem: string, file: string): KeyObject {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new TlsFault('TLS_KEY_ENCRYPTED', 'key', `the key in ${file} is encrypted`)
  }
  try {
    return createPrivateKey(pem)
  } catch {
    // OpenSSL's text about a broken key helps no operator, and might hold a part of the key.
    throw new TlsFault('TLS_KEY_INVALID', 'key', `${file} holds no private key that can be read`)
  }
}
