import { checkEndpointName } from '../protocol/endpoint.ts'
import { RESERVATIONS_ROUTE, routeTo } from '../protocol/routes.ts'
import { askServer, type ReservationOptions } from './identity-request.ts'
import type { ServerOptions } from './server-options.ts'

/** A name that is reserved for the identity that asked. */
export interface ReservedName {
  /** Name of the endpoint. */
  readonly endpoint: string
  /** What it is meant to carry. */
  readonly kind: 'http' | 'tcp'
  /** The identity it is reserved for. */
  readonly identity: string
  /** Since when, ISO 8601. */
  readonly since: string
  /** Agent sessions that serve it now. */
  readonly sessions: number
  /** Public port of the server that is held with it. */
  readonly port?: number
}

/**
 * Holds a name for the identity of the token, until it is released. The server has it on its disk
 * when this resolves.
 *
 * @throws {TunnelError} TUNNEL_NAME_TAKEN, TUNNEL_UNAUTHORIZED, TUNNEL_RESERVATION_REFUSED with the
 *   server's reason, TUNNEL_ENDPOINT_INVALID.
 * @throws {DialError} when the server could not be reached.
 */
export async function reserveName(
  server: ServerOptions,
  endpoint: string,
  options: ReservationOptions & { readonly kind?: 'http' | 'tcp' } = {},
): Promise<ReservedName> {
  const { kind = 'http', ...rest } = options
  const route = routeTo(`${RESERVATIONS_ROUTE}/`, checkEndpointName(endpoint))
  return (await askServer(server, 'PUT', route, { kind }, rest)) as ReservedName
}

/**
 * Releases a name.
 *
 * @throws {TunnelError} as `reserveName`; TUNNEL_RESERVATION_REFUSED when it is not held.
 */
export async function releaseName(
  server: ServerOptions,
  endpoint: string,
  options: ReservationOptions = {},
): Promise<void> {
  const route = routeTo(`${RESERVATIONS_ROUTE}/`, checkEndpointName(endpoint))
  await askServer(server, 'DELETE', route, undefined, options)
}

/** Names held for the identity of the token. */
export async function reservedNames(
  server: ServerOptions,
  options: ReservationOptions = {},
): Promise<readonly ReservedName[]> {
  const answer = await askServer(server, 'GET', RESERVATIONS_ROUTE, undefined, options)
  return (answer as { readonly reservations: readonly ReservedName[] }).reservations
}
