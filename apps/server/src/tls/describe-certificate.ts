import type { X509Certificate } from 'node:crypto'

import { alternativeNames } from './client-certificate.ts'

/** What is said of a certificate in the log and on the status page. */
export function describeCertificate(certificate: X509Certificate): {
  readonly names: readonly string[]
  readonly serial: string
  readonly expires: string
} {
  const names = alternativeNames(certificate.subjectAltName ?? '')
  return {
    names: names.length > 0 ? names : [certificate.subject.replaceAll('\n', ', ')],
    serial: certificate.serialNumber,
    expires: new Date(certificate.validTo).toISOString(),
  }
}
