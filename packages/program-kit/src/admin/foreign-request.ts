/**
 * Protects an admin port from web pages. A browser on this machine, or in the same network, can send
 * requests to the port for a page of anybody. Two things are refused: requests that the browser marks
 * as made by another site, and requests to a host name that is not one of the port. The latter is DNS
 * rebinding: the page gives its own name the address of the port and then reads the answers as its own.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

import type { ListenAddress } from '@proj/config/address'

/** Why a request is refused: the JSON body of the answer, status 403. */
export interface ForeignRequest {
  /** One sentence. */
  readonly error: string
  /** Stable. */
  readonly code: 'host-refused' | 'origin-refused'
  /** What to do. */
  readonly hint: string
}

/** What the rule depends on. */
export interface HostRule {
  /** Host names of the port besides `localhost` and names below it, lower case. IP addresses always pass. */
  readonly hosts: readonly string[]
  /** Whether the pages need credentials. A foreign page has none, so every host name may pass. */
  readonly needsCredentials: boolean
}

/** The host names among the addresses of a port: the operator has named it so. */
export function hostNames(addresses: readonly ListenAddress[]): string[] {
  return addresses.flatMap((address) =>
    address.kind === 'tcp' && address.hostKind === 'name' ? [address.host.toLowerCase()] : [],
  )
}

/** Tells why a request is refused; undefined when it may pass. */
export function findForeignRequest(
  headers: IncomingHttpHeaders,
  { hosts, needsCredentials }: HostRule,
): ForeignRequest | undefined {
  const { host, origin } = headers
  if (headers['sec-fetch-site'] === 'cross-site' || !isSameOrigin(origin, host)) {
    return {
      error: 'the request was made by a page of another site',
      code: 'origin-refused',
      hint: 'open the address in the browser by typing it, or use a program that is no browser',
    }
  }
  if (needsCredentials || isOwnHost(host, hosts)) return undefined
  return {
    error: 'this host name is not one of the admin port',
    code: 'host-refused',
    hint: 'use an IP address or localhost, put the name into admin.bind_addr, or let the port ask for credentials',
  }
}

/** Browsers send `Origin` with every request that may read a foreign answer. Other programs do not. */
function isSameOrigin(origin: string | undefined, host: string | undefined): boolean {
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
  return name === 'localhost' || name.endsWith('.localhost') || hosts.includes(name)
}
