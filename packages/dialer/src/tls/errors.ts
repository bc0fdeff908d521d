import type { X509Certificate } from 'node:crypto'

import { DialError, type DialErrorCode, type DialErrorDetails, type DialLeg } from '../errors.ts'

/** The other end of a handshake. */
export interface TlsPeer {
  /** Host and port, for messages. */
  readonly about: string
  readonly leg: DialLeg
  /** Whether the bytes pass a proxy, which makes TLS inspection more likely. */
  readonly proxied: boolean
}

/** Makes an error of the phase tls. */
function tlsError(
  code: DialErrorCode,
  message: string,
  { leg }: TlsPeer,
  details: Pick<DialErrorDetails, 'hint' | 'cause'>,
): DialError {
  return new DialError(code, message, { phase: 'tls', leg, ...details })
}

/** Explains why a certificate was rejected. */
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
        hint: 'use a name in the certificate, or set tls.servername',
        cause,
      },
    )
  }
  if (reason === 'CERT_HAS_EXPIRED' || reason === 'CERT_NOT_YET_VALID') {
    const when = `${certificate?.validFrom ?? '?'} to ${certificate?.validTo ?? '?'}`
    return tlsError(
      'DIAL_TLS_EXPIRED',
      `the certificate of the ${leg} ${about} is only valid from ${when}`,
      peer,
      {
        hint: 'renew the certificate, or correct the clock of this host',
        cause,
      },
    )
  }
  const issuer = oneLine(certificate?.issuer)
  if (looksIntercepted(issuer, certificate, peer)) {
    return tlsError(
      'DIAL_TLS_INTERCEPTED',
      `TLS inspection by ${issuer} on the way to the ${leg} ${about}`,
      peer,
      {
        hint: 'add its authority to tls.ca or to the system store, or ask for an exception from the inspection',
        cause,
      },
    )
  }
  return tlsError(
    'DIAL_TLS_UNTRUSTED',
    `the certificate of the ${leg} ${about} was issued by ${issuer}, which is not trusted (${reason})`,
    peer,
    { hint: 'add this authority to tls.ca or to the system store', cause },
  )
}

/** Explains a public key that is not a pinned one. */
export function pinError(
  pin: string,
  certificate: X509Certificate | undefined,
  peer: TlsPeer,
): DialError {
  const issuer = oneLine(certificate?.issuer)
  const message = `the public key of the ${peer.leg} ${peer.about} is sha256/${pin}, not a pinned one (issuer ${issuer})`
  return tlsError('DIAL_TLS_PIN', message, peer, {
    hint: 'the server has a new key, or a device in the network replaces the certificate',
  })
}

// Names of TLS inspection products in the certificates they issue.
const INSPECTORS =
  /mitmproxy|zscaler|netskope|forti(?:net|gate)|palo ?alto|blue ?coat|sophos|umbrella|watchguard|barracuda|checkpoint|check point|sonicwall|kaspersky|avast|eset ssl|bitdefender|squid|burp|charles|fiddler/i

function looksIntercepted(
  issuer: string,
  certificate: X509Certificate | undefined,
  { leg, proxied }: TlsPeer,
): boolean {
  if (INSPECTORS.test(issuer)) return true
  // Behind a proxy, a certificate from an unknown issuer was most likely issued by the proxy; a
  // self-signed certificate is more likely that of the server.
  return (
    proxied &&
    leg !== 'proxy' &&
    certificate !== undefined &&
    certificate.issuer !== certificate.subject
  )
}

function oneLine(name: string | undefined): string {
  return name === undefined || name === '' ? 'unknown' : name.replaceAll('\n', ', ')
}

/** Explains the failure of a handshake, or of the connection during it. */
export function handshakeError(error: unknown, peer: TlsPeer): DialError {
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : ''
  const { about, leg } = peer
  if (/ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)/.test(code)) {
    return clientCertificateError(error, peer)
  }
  // EPROTO is the code when the failure shows in a write.
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|^EPROTO$/.test(code)) {
    return tlsError('DIAL_TLS_PROTOCOL', `the ${leg} ${about} does not respond with TLS`, peer, {
      hint:
        leg === 'proxy'
          ? 'the port of the proxy seems to have no TLS: use http:// for the proxy'
          : 'the port seems to have no TLS: use ws:// or http://, or another port',
      cause: error,
    })
  }
  if (code.includes('NO_APPLICATION_PROTOCOL')) {
    return tlsError(
      'DIAL_TLS_PROTOCOL',
      `the ${leg} ${about} supports no protocol that we offer (ALPN)`,
      peer,
      {
        hint: 'allow http/1.1 on the server',
        cause: error,
      },
    )
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE/.test(code)) {
    return tlsError(
      'DIAL_TLS_PROTOCOL',
      `the ${leg} ${about} has no TLS version that we accept`,
      peer,
      {
        hint: 'compare the minimum TLS versions of both sides',
        cause: error,
      },
    )
  }
  const closed = code === 'ECONNRESET' || code === 'EPIPE'
  return tlsError(
    'DIAL_TLS_FAILED',
    closed
      ? `the ${leg} ${about} closed the connection during the TLS handshake`
      : `the TLS handshake with the ${leg} ${about} failed (${code === '' ? text : code})`,
    peer,
    {
      hint: closed ? 'a firewall closed the connection, or the port has no TLS' : undefined,
      cause: error,
    },
  )
}

/** Tells whether an error is the alert for a rejected client certificate. TLS 1.3 sends it after the handshake. */
export function isClientCertificateAlert(error: unknown): boolean {
  return /ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA)/.test(codeOf(error))
}

/** Makes the error of a peer that requires a client certificate, or another one. */
export function clientCertificateError(error: unknown, peer: TlsPeer): DialError {
  const { about, leg } = peer
  const message = `the ${leg} ${about} rejected the client certificate, or requires one (${codeOf(error)})`
  return tlsError('DIAL_TLS_CLIENT_CERT', message, peer, {
    hint: 'set tls.cert and tls.key to a certificate that the peer accepts; TLS inspection removes client certificates',
    cause: error,
  })
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
