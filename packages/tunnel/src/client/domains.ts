import { checkEndpointName } from '../protocol/endpoint.ts'
import { DOMAINS_ROUTE, routeTo } from '../protocol/routes.ts'
import { askServer, type ReservationOptions } from './identity-request.ts'
import type { ServerOptions } from './server-options.ts'

/** How a domain can be proved. */
export type DomainChallenge = 'txt' | 'http'

/** Options of a request for a domain. */
export interface DomainOptions extends ReservationOptions {
  /** How it is proved. Default: as was asked before, else by what the server takes, a TXT record if it may be. */
  readonly challenge?: DomainChallenge | undefined
}

/** A domain that the identity of the token has asked for. */
export interface OwnDomain {
  /** In its canonical form: lower case and ASCII, `*.` in front for all names below it. */
  readonly domain: string
  /** The endpoint that it leads to once it is proved. */
  readonly endpoint: string
  /** `missing`: it was proved and leads to the endpoint, but the proof is not there any more. */
  readonly state: 'pending' | 'proved' | 'missing'
  /** How it is proved: by a TXT record, or by a file of its web server. */
  readonly challenge: DomainChallenge
  /** The DNS record that proves it; undefined: it is proved in another way. */
  readonly record?: { readonly name: string; readonly type: 'TXT'; readonly value: string }
  /** The file that proves it, a line of which is `content`; undefined: it is proved in another way. */
  readonly file?: { readonly url: string; readonly content: string }
  /** Since when it is asked for, ISO 8601. */
  readonly since: string
  /** When the proof was looked for last, ISO 8601. */
  readonly checkedAt?: string
  /** Since when it is proved, ISO 8601. */
  readonly provedAt?: string
  /** Since when the proof of a proved domain is missing, ISO 8601. */
  readonly missingSince?: string
}

/**
 * Asks for a domain for an endpoint, or, when it was asked for before, changes its endpoint and looks for its proof.
 * How it is proved can be changed while it is not.
 *
 * @throws {TunnelError} TUNNEL_RESERVATION_REFUSED with the server's reason, TUNNEL_NAME_TAKEN, TUNNEL_UNAUTHORIZED,
 *   TUNNEL_ENDPOINT_INVALID.
 * @throws {DialError} when the server could not be reached.
 */
export async function askForDomain(
  server: ServerOptions,
  domain: string,
  endpoint: string,
  options: DomainOptions = {},
): Promise<OwnDomain> {
  const { challenge } = options
  const body = { endpoint: checkEndpointName(endpoint), ...(challenge && { challenge }) }
  return (await askServer(server, 'PUT', routeOf(domain), body, options)) as OwnDomain
}

/**
 * Gives a domain up.
 *
 * @throws {TunnelError} as `askForDomain`; TUNNEL_RESERVATION_REFUSED when it was not asked for.
 */
export async function removeDomain(
  server: ServerOptions,
  domain: string,
  options: ReservationOptions = {},
): Promise<void> {
  await askServer(server, 'DELETE', routeOf(domain), undefined, options)
}

/** Domains that the identity of the token has asked for. */
export async function ownDomains(
  server: ServerOptions,
  options: ReservationOptions = {},
): Promise<readonly OwnDomain[]> {
  const answer = await askServer(server, 'GET', DOMAINS_ROUTE, undefined, options)
  return (answer as { readonly domains: readonly OwnDomain[] }).domains
}

function routeOf(domain: string): string {
  return routeTo(`${DOMAINS_ROUTE}/`, domain)
}
