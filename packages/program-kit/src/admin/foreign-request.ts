/**
 * Protects a port that is no website from web pages. A browser on this machine, or in the same network, can send
 * requests to the port for a page of any website. Two things are refused: requests that the browser marks
 * as made by another site, and requests to a host name that is not one of the port. The latter is DNS
 * rebinding: the host name of the page resolves to the address of the port, so that the browser lets the page
 * read the answers.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

import type { ListenAddress } from '@proj/config/address'

/** Why a request is refused: the JSON body of the answer, status 403. */
export interface ForeignRequest {
  /** The reason in one sentence. */
  readonly error: string
  /** Stable code for programs. */
  readonly code: 'host-refused' | 'origin-refused'
  /** What an operator can do about it, one sentence. */
  readonly hint: string
}

/** What the rule depends on. */
export interface PageRule {
  /** Name of the port in the settings: `admin`, `upstream`. */
  readonly port: string
  /**
   * Host names of the port besides `localhost` and names below it, lower case; `*.example.com` is every
   * name below a domain. IP addresses always pass. `any` where every name may pass, because requests
   * need credentials, which a foreign page does not have.
   */
  readonly hosts: readonly string[] | 'any'
  /** Which web pages may send requests: those of the port itself, or none. */
  readonly pages: 'same-origin' | 'none'
}

/** The host names among the addresses of a port, as the operator configured them. */
export function hostNames(addresses: readonly ListenAddress[]): string[] {
  return addresses.flatMap((address) =>
    address.kind === 'tcp' && address.hostKind === 'name' ? [address.host.toLowerCase()] : [],
  )
}

/** Tells why a request is refused; undefined when it may pass. */
export function findForeignRequest(
  headers: IncomingHttpHeaders,
  { port, hosts, pages }: PageRule,
): ForeignRequest | undefined {
  const { host, origin } = headers
  if (pages === 'none' && origin !== undefined) {
    return {
      error: 'the request was made by a web page',
      code: 'origin-refused',
      hint: 'send no Origin header, or a token where the server has tokens',
    }
  }
  if (headers['sec-fetch-site'] === 'cross-site' || !isSameOrigin(origin, host)) {
    return {
      error: 'the request was made by a page of another site',
      code: 'origin-refused',
      hint: 'open the address in the browser by typing it, or use a program that is no browser',
    }
  }
  if (hosts === 'any' || isOwnHost(host, hosts)) return undefined
  return {
    error: `this host name is not one of the ${port} port`,
    code: 'host-refused',
    hint: `use an IP address or localhost, put the name into ${port}.bind_addr, or let the port ask for credentials`,
  }
}

/**
 * Tells whether a request was made by a page of the host that it asks, or by no page. Browsers send `Origin` with
 * every request that may read a foreign answer; other programs do not. The scheme may be https: of a proxy in front.
 */
export function isSameOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined) return true
  if (!URL.canParse(origin)) return false // `null`: a sandbox or a file
  const own = new URL(origin)
  const asked = `${own.protocol}//${host ?? ''}`
  return URL.canParse(asked) && new URL(asked).host === own.host
}

/** No browser leaves `Host` out, but health checks with HTTP/1.0 do. */
function isOwnHost(header: string | undefined, hosts: readonly string[]): boolean {
  if (header === undefined) return true
  const name = header.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
  if (isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0) return true
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    hosts.some((own) => isSameHost(name, own))
  )
}

function isSameHost(name: string, own: string): boolean {
  return own.startsWith('*.') ? name.endsWith(own.slice(1)) : name === own
}
