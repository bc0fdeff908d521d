/** Why a service was not reached, and which setting of its listener helps. */
import { dial, type DialErrorCode, isDialError } from '@proj/dialer'

import type { ServiceDial } from './service-dial.ts'

/** A failure in the words of the operator of the agent. */
export interface ExplainedFailure {
  readonly message: string
  readonly hint: string | undefined
}

const TRUST =
  'give the authority of the certificate in tls.root_cas of the listener (--service-ca); --insecure-service verifies nothing, for tests'

/** What a dial error of the leg to the service means for the settings of its listener. */
const HINTS: Partial<Record<DialErrorCode, string>> = {
  DIAL_TLS_UNTRUSTED: TRUST,
  DIAL_TLS_INTERCEPTED: TRUST,
  DIAL_TLS_NAME:
    'give a name of the certificate in tls.server_name of the listener (--service-name)',
  DIAL_TLS_CLIENT_CERT:
    'give a certificate that the service accepts in tls.cert and tls.key of the listener (--service-cert, --service-key)',
}

/** How OpenSSL names what a plain service answers to a handshake. */
const NO_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|^EPROTO$/

/** Explains why the service could not be reached, or why it ended TLS. */
export function explainServiceError(error: unknown): ExplainedFailure {
  const message = error instanceof Error ? error.message : String(error)
  if (isDialError(error)) {
    if (error.code === 'DIAL_TLS_PROTOCOL' && NO_TLS.test(codeOf(error.cause))) {
      return {
        message: 'the service does not use TLS',
        hint: 'write http:// in place of https:// in addr',
      }
    }
    return { message, hint: HINTS[error.code] ?? error.hint }
  }
  // With TLS 1.3 a client certificate is judged behind the handshake.
  const isRejected = /ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA)/.test(codeOf(error))
  return { message, hint: isRejected ? HINTS.DIAL_TLS_CLIENT_CERT : undefined }
}

/** A service gave no answer because it expects TLS. */
export const SERVICE_EXPECTS_TLS = {
  /** Of the last failure in the status. */
  code: 'SERVICE_EXPECTS_TLS',
  what: 'the service expects TLS, and was asked without',
  /** In general. */
  hint: 'write https:// in front of the address of the service',
} as const

/** Explains why a service gave no answer that expects TLS and was asked without. */
export function explainNoAnswer(addr: string): ExplainedFailure {
  return {
    message: SERVICE_EXPECTS_TLS.what,
    hint: `write https://${addr} in place of ${addr}`,
  }
}

/** Asks the service whether it does the handshake of TLS. */
export async function speaksTls({ service, connect }: ServiceDial): Promise<boolean> {
  try {
    const socket = await dial(service, { ...connect, tls: { verify: 'none' } })
    socket.destroy()
    return true
  } catch (error) {
    return isDialError(error, 'DIAL_TLS_CLIENT_CERT')
  }
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  return typeof code === 'string' ? code : ''
}
