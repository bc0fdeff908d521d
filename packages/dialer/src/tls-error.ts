import { DialError, type DialErrorDetails, type DialLeg } from './dial-error.ts'
import type { DialErrorCode } from './errors.ts'

/** Who the handshake was with. */
export interface TlsPeer {
  readonly about: string
  readonly leg: DialLeg
  readonly proxied: boolean
}

/** Makes an error of the phase tls. */
export function tlsError(
  code: DialErrorCode,
  message: string,
  { leg }: TlsPeer,
  details: Pick<DialErrorDetails, 'hint' | 'cause'>,
): DialError {
  return new DialError(code, message, { phase: 'tls', leg, ...details })
}
