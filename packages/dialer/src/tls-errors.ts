import type { X509Certificate } from 'node:crypto'

import { DialError, type DialErrorDetails, type DialLeg } from './dial-error.ts'
import type { DialErrorCode } from './error-codes.ts'

/** Who the handshake was with. */
export interface TlsPeer {
  readonly about: string
  readonly leg: DialLeg
  readonly proxied: boolean
}

/** Turns the failure of a handshake, or of the connection during it, into a DialError. */
export function handshakeError(error: unknown, peer: TlsPeer): DialError {
  const code = codeOf(error)
  const text = error instanceof Error ? error.message : ''
  const { about, leg } = peer
  if (/ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)/.test(code)) {
    return clientCertificateError(error, peer)
  }
  if (
    /WRONG_VERSION_NUMBER|wrong version number|packet length too long|HTTP_REQUEST/i.test(
      `${code} ${text}`,
    )
  ) {
    return make('DIAL_TLS_PROTOCOL', `the ${leg} ${about} does not answer with TLS`, peer, {
      hint:
        leg === 'proxy'
          ? 'the proxy port looks like a plain one: use http:// for the proxy'
          : 'the port looks like a plain one: use ws:// or http://, or another port',
      cause: error,
    })
  }
  if (/NO_APPLICATION_PROTOCOL|no application protocol/i.test(`${code} ${text}`)) {
    return make(
      'DIAL_TLS_PROTOCOL',
      `the ${leg} ${about} offers no protocol we speak (ALPN)`,
      peer,
      {
        hint: 'the edge must allow http/1.1',
        cause: error,
      },
    )
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS_AVAILABLE/.test(code)) {
    return make('DIAL_TLS_PROTOCOL', `the ${leg} ${about} speaks no TLS version we accept`, peer, {
      hint: 'compare the minimum versions of both sides',
      cause: error,
    })
  }
  const closed = code === 'ECONNRESET' || code === 'EPIPE'
  return make(
    'DIAL_TLS_FAILED',
    closed
      ? `the ${leg} ${about} closed the connection during the TLS handshake`
      : `the TLS handshake with the ${leg} ${about} failed (${code === '' ? text : code})`,
    peer,
    {
      hint: closed ? 'a firewall or a port that speaks no TLS may have closed it' : undefined,
      cause: error,
    },
  )
}

/** True for an alert by which a peer refuses our certificate, in TLS 1.3 only after the handshake. */
export function isClientCertificateAlert(error: unknown): boolean {
  return /ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA)/.test(codeOf(error))
}

/** Makes the error for a peer that wants a client certificate, or another one. */
export function clientCertificateError(error: unknown, peer: TlsPeer): DialError {
  const { about, leg } = peer
  const message = `the ${leg} ${about} does not accept our client certificate (${codeOf(error)})`
  return make('DIAL_TLS_CLIENT_CERT', message, peer, {
    hint: 'set tls.cert and tls.key to what the peer expects; TLS inspection on the way drops them',
    cause: error,
  })
}

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
    return make('DIAL_TLS_NAME', `the certificate of the ${leg} ${about} is for ${names}`, peer, {
      hint: 'dial the name in the certificate, or set tls.servername',
      cause,
    })
  }
  if (reason === 'CERT_HAS_EXPIRED' || reason === 'CERT_NOT_YET_VALID') {
    const when = `${certificate?.validFrom ?? '?'} to ${certificate?.validTo ?? '?'}`
    return make(
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
    return make(
      'DIAL_TLS_INTERCEPTED',
      `TLS inspection by ${issuer} in front of the ${leg} ${about}`,
      peer,
      {
        hint: 'add its authority with tls.ca or to the system store, or ask for a bypass of the inspection',
        cause,
      },
    )
  }
  return make(
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
  return make('DIAL_TLS_PIN', message, peer, {
    hint: 'the server has a new key, or something on the way replaces the certificate',
  })
}

function make(
  code: DialErrorCode,
  message: string,
  { leg }: TlsPeer,
  details: Pick<DialErrorDetails, 'hint' | 'cause'>,
): DialError {
  return new DialError(code, message, { phase: 'tls', leg, ...details })
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

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
