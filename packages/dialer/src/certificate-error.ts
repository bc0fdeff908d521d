import type { X509Certificate } from 'node:crypto'

import type { DialError } from './dial-error.ts'
import { tlsError, type TlsPeer } from './tls-error.ts'

/** Explains why a certificate was not accepted. */
export function certificateError(
  reason: string,
  certificate: X509Certificate | undefined,
  peer: TlsPeer,
): DialError {
  const { about, leg } = peer
  const cause = Object.assign(new Error(reason), { code: reason })
  if (reason === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = certificate?.subjectAltName ?? oneLine(certificate?.subject)
    return tlsError(
      'DIAL_TLS_NAME',
      `the certificate of the ${leg} ${about} is for ${names}`,
      peer,
      {
        hint: 'dial the name in the certificate, or set tls.servername',
        cause,
      },
    )
  }
  if (reason === 'CERT_HAS_EXPIRED' || reason === 'CERT_NOT_YET_VALID') {
    const when = `${certificate?.validFrom ?? '?'} to ${certificate?.validTo ?? '?'}`
    return tlsError(
      'DIAL_TLS_EXPIRED',
      `the certificate of the ${leg} ${about} is valid ${when}`,
      peer,
      {
        hint: 'renew it, or set the clock of this host',
        cause,
      },
    )
  }
  const issuer = oneLine(certificate?.issuer)
  if (looksIntercepted(issuer, certificate, peer)) {
    return tlsError(
      'DIAL_TLS_INTERCEPTED',
      `TLS inspection by ${issuer} in front of the ${leg} ${about}`,
      peer,
      {
        hint: 'add its authority with tls.ca or to the system store, or ask for a bypass of the inspection',
        cause,
      },
    )
  }
  return tlsError(
    'DIAL_TLS_UNTRUSTED',
    `the certificate of the ${leg} ${about} was issued by ${issuer}, whom we do not trust (${reason})`,
    peer,
    { hint: 'add that authority with tls.ca, or to the system store', cause },
  )
}

/** Explains a public key that is not among the pinned ones. */
export function pinError(
  pin: string,
  certificate: X509Certificate | undefined,
  peer: TlsPeer,
): DialError {
  const issuer = oneLine(certificate?.issuer)
  const message = `the public key of the ${peer.leg} ${peer.about} is sha256/${pin}, not a pinned one (issuer ${issuer})`
  return tlsError('DIAL_TLS_PIN', message, peer, {
    hint: 'the server has a new key, or something on the way replaces the certificate',
  })
}

// Names that inspection products put into the certificates they make up.
const INSPECTORS =
  /mitmproxy|zscaler|netskope|forti(?:net|gate)|palo ?alto|blue ?coat|sophos|umbrella|watchguard|barracuda|checkpoint|check point|sonicwall|kaspersky|avast|eset ssl|bitdefender|squid|burp|charles|fiddler/i

function looksIntercepted(
  issuer: string,
  certificate: X509Certificate | undefined,
  { leg, proxied }: TlsPeer,
): boolean {
  if (INSPECTORS.test(issuer)) return true
  // Behind a proxy, a certificate for the server that was issued by a stranger is most likely made
  // by the proxy; one that signed itself is more likely the server's own.
  return (
    proxied &&
    leg === 'server' &&
    certificate !== undefined &&
    certificate.issuer !== certificate.subject
  )
}

function oneLine(name: string | undefined): string {
  return name === undefined || name === '' ? 'nobody' : name.replaceAll('\n', ', ')
}
