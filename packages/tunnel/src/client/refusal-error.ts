import type { Refused } from '../protocol/control-message.ts'
import { TunnelError, type TunnelErrorCode } from '../errors.ts'

/** A refused registration as an error. */
export function refusalError(endpoint: string, refused: Refused): TunnelError {
  const { code, message, retryAfterMs, holder, since } = refused
  return new TunnelError(
    errorCode(code),
    `endpoint ${JSON.stringify(endpoint)} refused (${code}): ${message}`,
    { holder, since, ...(retryAfterMs !== undefined && { retryAfterMs }) },
  )
}

function errorCode(code: string): TunnelErrorCode {
  if (code === 'name-taken') return 'TUNNEL_NAME_TAKEN'
  return code.startsWith('port-') ? 'TUNNEL_PORT_REFUSED' : 'TUNNEL_ENDPOINT_REFUSED'
}
