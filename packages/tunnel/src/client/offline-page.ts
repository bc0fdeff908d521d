import { isTunnelError } from '../errors.ts'
import { checkEndpointName } from '../protocol/endpoint.ts'
import { OFFLINE_PAGES_ROUTE, routeTo } from '../protocol/routes.ts'
import { askServer, type ReservationOptions } from './identity-request.ts'
import { type ServerOptions, serverUrls } from './server-options.ts'

/**
 * Gives each server the page that browsers get while no agent serves an endpoint. An agent of the same identity has to
 * serve it now; the page is forgotten when one serves it again, and when the server starts anew.
 *
 * @param page - HTML of at most 64 KiB, with its styles and pictures in itself.
 * @throws {TunnelError} TUNNEL_UNAUTHORIZED, TUNNEL_RESERVATION_REFUSED with the server's reason, also from one that does
 *   not know of such pages, and with the status 409 where no agent serves the endpoint; TUNNEL_ENDPOINT_INVALID.
 * @throws {DialError} when a server could not be reached.
 */
export async function setOfflinePage(
  server: ServerOptions,
  endpoint: string,
  page: string,
  options: ReservationOptions = {},
): Promise<void> {
  const route = routeTo(`${OFFLINE_PAGES_ROUTE}/`, checkEndpointName(endpoint))
  const asked = serverUrls(server.url).map(async (url) => {
    await askServer({ ...server, url }, 'PUT', route, { page }, options)
  })
  // One that cannot be reached does not keep the page from the others.
  const failures = (await Promise.allSettled(asked)).flatMap((one) =>
    one.status === 'rejected' ? [one.reason as unknown] : [],
  )
  if (failures.length > 0) throw failures.find((error) => !isNotServed(error)) ?? failures[0]
}

/** Whether a server did not take the page because no agent of the identity serves the endpoint there now. */
function isNotServed(error: unknown): boolean {
  return isTunnelError(error, 'TUNNEL_RESERVATION_REFUSED') && error.status === 409
}
