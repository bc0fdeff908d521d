/**
 * Who should act on each code. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { TunnelErrorCode } from './errors.ts'

/** Who writes the program, who runs the agent, the consumer or the service (`owner`), who runs the server (`operator`). */
type Actor = 'developer' | 'owner' | 'operator' | 'maintainers' | 'nobody'

export const TUNNEL_ACTORS: Readonly<Record<TunnelErrorCode, Actor>> = {
  TUNNEL_CLOSED: 'developer',
  TUNNEL_CONTROL_INVALID: 'maintainers',
  TUNNEL_ENDPOINT_INVALID: 'owner',
  TUNNEL_ENDPOINT_REFUSED: 'owner',
  TUNNEL_EXCLUSIVE_UNSUPPORTED: 'operator',
  TUNNEL_HELLO_TIMEOUT: 'operator',
  TUNNEL_NAME_IN_USE: 'owner',
  TUNNEL_NAME_TAKEN: 'owner',
  TUNNEL_NETWORK_CHANGED: 'nobody',
  TUNNEL_NO_UPSTREAM: 'owner',
  TUNNEL_PORT_REFUSED: 'owner',
  TUNNEL_PORT_UNSUPPORTED: 'operator',
  TUNNEL_RECORD_INVALID: 'maintainers',
  TUNNEL_RESERVATION_REFUSED: 'owner',
  TUNNEL_SERVERS_FAILED: 'owner',
  TUNNEL_SERVICE_REFUSED: 'owner',
  TUNNEL_SERVICE_UNREACHABLE: 'owner',
  TUNNEL_STREAM_RESET: 'owner',
  TUNNEL_UNAUTHORIZED: 'owner',
  TUNNEL_UPGRADE_REFUSED: 'owner',
  TUNNEL_UPSTREAM_LOST: 'nobody',
  TUNNEL_VISITORS_INVALID: 'owner',
  TUNNEL_VISITORS_UNSUPPORTED: 'operator',
  TUNNEL_WRONG_PORT: 'owner',
}
