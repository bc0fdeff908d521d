/** Files of certificates and keys that a setting or a flag names. */
import { X509Certificate } from 'node:crypto'
import { EXIT, UserError } from './exit-code.ts'
import { readRegularFile } from './read-regular-file.ts'
import type { ProgramErrorCode } from '../errors.ts'

/** Largest file that is read: the bundles of authorities of distributions have 250 kB. */
const MAX_PEM_BYTES = 1024 * 1024

const CERTIFICATE = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END [A-Z0-9 ]+-----/g

/**
 * Reads a file of certificates or a key.
 *
 * @returns one character per byte: what is between the lines of PEM is ASCII.
 * @throws an error when it cannot be read, is no regular file, or has more than 1 MiB.
 */
export async function readPemFile(file: string): Promise<string> {
  const bytes = await readRegularFile(file, MAX_PEM_BYTES)
  return bytes.toString('latin1')
}

/**
 * The certificates of a text, in their order; what is between them is not read.
 *
 * @throws the error of Node for one that cannot be read.
 */
export function certificatesIn(pem: string): readonly X509Certificate[] {
  return [...pem.matchAll(CERTIFICATE)].map(([block]) => new X509Certificate(block))
}

/**
 * Reads the file of certificates or of a key that a setting names, if it names one.
 *
 * @param setting - key or flag, for the message.
 * @throws {UserError} CONFIG_FILE_UNREADABLE, exit code 2.
 */
export async function readPem(
  setting: string,
  file: string | undefined,
): Promise<string | undefined> {
  if (file === undefined) return undefined
  try {
    return await readPemFile(file)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(`${setting}: ${why}`, {
      code: 'CONFIG_FILE_UNREADABLE',
      exitCode: EXIT.usage,
      hint: 'check the path, and that the user of the program may read the file',
      cause: error,
    })
  }
}

/**
 * As readPem, for a file that has to hold certificates: TLS takes a file without one, or with a broken one, without an
 * error, and then trusts less than its operator thinks.
 *
 * @throws {UserError} CONFIG_FILE_UNREADABLE or CONFIG_CERTIFICATE_INVALID, exit code 2.
 */
export async function readCertificates(
  setting: string,
  file: string | undefined,
): Promise<string | undefined> {
  const pem = await readPem(setting, file)
  if (pem === undefined) return undefined
  const fail = (why: string, cause?: unknown): UserError =>
    new UserError(`${setting}: ${file} ${why}`, {
      code: 'CONFIG_CERTIFICATE_INVALID' satisfies ProgramErrorCode,
      exitCode: EXIT.usage,
      hint: 'give a file of certificates in PEM: each begins with -----BEGIN CERTIFICATE-----',
      cause,
    })
  try {
    if (certificatesIn(pem).length > 0) return pem
  } catch (error) {
    throw fail('holds a certificate that cannot be read', error)
  }
  throw fail('holds no certificate')
}
