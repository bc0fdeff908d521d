/** What a peer wants to do with an endpoint: the upstream route is for `listen`, the connect route for `connect`. */
export type EndpointAction = 'listen' | 'connect'

/** Path of the upstream route, followed by the endpoint. */
export const UPSTREAM_ROUTE = '/piko/v1/upstream/'

/** Path of the connect route, followed by the endpoint. */
export const CONNECT_ROUTE = '/_piko/v1/tcp/'

/** Path of the names held for an identity; behind it and a slash, one of them. */
export const RESERVATIONS_ROUTE = '/adit/v1/reservations'

/** Path of the domains that an identity asks for; behind it and a slash, one of them. */
export const DOMAINS_ROUTE = '/adit/v1/domains'

/** Path of the pages of endpoints without an agent; behind it and a slash, an endpoint. */
export const OFFLINE_PAGES_ROUTE = '/adit/v1/offline-pages'

/**
 * Endpoint name by which a consumer asks an Adit server for a session. A Piko server looks for an
 * upstream of that name and answers that there is none; so the consumer learns which protocol the server
 * speaks without reaching any service.
 */
export const SESSION_ENDPOINT = 'adit-session'

/** Characters that no name has: a log, a terminal or a program in C would read another name (C0, DEL, C1). */
// oxlint-disable-next-line no-control-regex -- control characters are what is refused here
export const CONTROL_CHARACTER: RegExp = /[\u0000-\u001f\u007f-\u009f]/

/** The path below `route` that names an endpoint, percent-encoded. */
export function routeTo(route: string, endpoint: string): string {
  return `${route}${encodeURIComponent(endpoint)}`
}

/**
 * The endpoint a path names below `route`, decoded; undefined when the path is another, or its last
 * segment is empty, malformed or holds a slash or a control character (`%00`, `%0a`).
 */
export function routeEndpoint(route: string, path: string): string | undefined {
  if (!path.startsWith(route)) return undefined
  try {
    const decoded = decodeURIComponent(path.slice(route.length))
    if (decoded === '' || decoded.includes('/') || CONTROL_CHARACTER.test(decoded)) return undefined
    return decoded
  } catch {
    return undefined
  }
}
