import type { DialError } from './dial-error.ts'
import { tlsError, type TlsPeer } from './tls-error.ts'

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
    return tlsError('DIAL_TLS_PROTOCOL', `the ${leg} ${about} does not answer with TLS`, peer, {
      hint:
        leg === 'proxy'
          ? 'the proxy port looks like a plain one: use http:// for the proxy'
          : 'the port looks like a plain one: use ws:// or http://, or another port',
      cause: error,
    })
  }
  if (/NO_APPLICATION_PROTOCOL|no application protocol/i.test(`${code} ${text}`)) {
    return tlsError(
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
    return tlsError(
      'DIAL_TLS_PROTOCOL',
      `the ${leg} ${about} speaks no TLS version we accept`,
      peer,
      {
        hint: 'compare the minimum versions of both sides',
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
  return tlsError('DIAL_TLS_CLIENT_CERT', message, peer, {
    hint: 'set tls.cert and tls.key to what the peer expects; TLS inspection on the way drops them',
    cause: error,
  })
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
