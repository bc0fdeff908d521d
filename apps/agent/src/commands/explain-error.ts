import { EXIT, UserError } from '@proj/program-kit'
import type { Secret } from '@proj/config'
import { type DialErrorCode, isDialError } from '@proj/dialer'
import { isPortcheckError, PORTCHECK_ERRORS } from '@proj/portcheck'
import { isTunnelError, TUNNEL_ERRORS, type TunnelError, type TunnelErrorCode } from '@proj/tunnel'

import type { AgentSettings } from '../settings.ts'

/** Failures that mean: the server refuses. */
const REFUSED: ReadonlySet<TunnelErrorCode> = new Set([
  'TUNNEL_ENDPOINT_REFUSED',
  'TUNNEL_EXCLUSIVE_UNSUPPORTED',
  'TUNNEL_NAME_IN_USE',
  'TUNNEL_NAME_TAKEN',
  'TUNNEL_PORT_REFUSED',
  'TUNNEL_PORT_UNSUPPORTED',
  'TUNNEL_RESERVATION_REFUSED',
  'TUNNEL_UNAUTHORIZED',
  'TUNNEL_UPGRADE_REFUSED',
  'TUNNEL_VISITORS_UNSUPPORTED',
])

/** Failures that mean: a setting is wrong. */
const USAGE: ReadonlySet<TunnelErrorCode> = new Set([
  'TUNNEL_ENDPOINT_INVALID',
  'TUNNEL_VISITORS_INVALID',
  'TUNNEL_WRONG_PORT',
])

/** What gives the server a token. */
const TOKEN_WAYS =
  '--token-file PATH, the variable ADIT_CONNECT_TOKEN, connect.token_file in a file, or adit login'

/** What helps where the dialer can name only its own options. */
const DIAL_HINTS: Partial<Record<DialErrorCode, Record<'server' | 'proxy', string>>> = {
  DIAL_TLS_UNTRUSTED: {
    server: 'trust its authority with connect.tls.root_cas, or add it to the system store',
    proxy: 'trust its authority with connect.proxy_ca, or add it to the system store',
  },
  DIAL_TLS_INTERCEPTED: {
    server:
      'trust its authority with connect.tls.root_cas or in the system store, or ask for an exception from the inspection',
    proxy:
      'trust its authority with connect.proxy_ca or in the system store, or ask for an exception from the inspection',
  },
  DIAL_TLS_NAME: {
    server: 'use a name in the certificate, or set connect.tls.server_name',
    proxy: 'use a name in the certificate in connect.proxy_url',
  },
  DIAL_TLS_CLIENT_CERT: {
    server:
      'set connect.tls.cert and connect.tls.key to a certificate that the server accepts; TLS inspection removes client certificates',
    proxy: 'use a proxy that asks for no client certificate',
  },
}

/** What to do about an error of a package, in the words of the settings; undefined: what the error says itself. */
export function settingHint(error: unknown): string | undefined {
  // A service has settings of its own: those of its listener.
  if (!isDialError(error) || error.leg === 'local' || error.leg === 'service') return undefined
  return DIAL_HINTS[error.code]?.[error.leg]
}

/**
 * Turns an error that ends the program into one with an exit code and a hint.
 *
 * @param connect - the settings that the server was asked with.
 * @returns the error itself when it is none that a user can act on.
 */
export function explainError(
  error: unknown,
  { token }: Pick<AgentSettings['connect'], 'token'>,
): unknown {
  if (isPortcheckError(error)) {
    const { hint } = PORTCHECK_ERRORS[error.code]
    return new UserError(error.message, { exitCode: EXIT.addressTaken, hint, cause: error })
  }
  if (isTunnelError(error)) {
    const { code, message } = error
    const exitCode = REFUSED.has(code) ? EXIT.refused : USAGE.has(code) ? EXIT.usage : EXIT.failed
    const hint = code === 'TUNNEL_UNAUTHORIZED' ? tokenHint(error, token) : TUNNEL_ERRORS[code].hint
    return new UserError(`${message} (${code})`, { exitCode, hint, cause: error })
  }
  if (isDialError(error)) {
    const { code, message, hint } = error
    // The server itself rejected the certificate: one that may be rejected by a proxy is tried again.
    const isRefused = code === 'DIAL_TLS_CLIENT_CERT' && error.retry === 'no'
    const exitCode = isRefused ? EXIT.refused : EXIT.failed
    return new UserError(message, { exitCode, hint: settingHint(error) ?? hint, cause: error })
  }
  return error
}

function tokenHint({ isOfEndpoint }: TunnelError, token: Secret | undefined): string {
  if (token === undefined) return `this server asks for a token: ${TOKEN_WAYS}`
  return isOfEndpoint
    ? 'use a name that the token allows, or a token for this name: adit-server token create --endpoints NAME'
    : `this server does not accept the token that was given; give a valid one: ${TOKEN_WAYS}`
}
