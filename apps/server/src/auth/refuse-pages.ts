/**
 * Keeps web pages off the tunnel routes: registering a name, connecting to an endpoint, reservations. A
 * browser on this machine, or in the same network, opens WebSockets for a page of any website, and a
 * server that asks for no credentials would serve it.
 */
import { findForeignRequest } from '@proj/program-kit'
import type { Authorize } from '@proj/tunnel/server'

import { type PortName, showsToken } from './authenticator.ts'

/** What is known of the ports. */
export interface PageRuleFacts {
  /** Host names of a port besides `localhost`. */
  readonly hosts: Readonly<Partial<Record<PortName, readonly string[]>>>
  /** Whether a port asks for credentials. */
  readonly isProtected: (port: PortName) => boolean
  /**
   * Whether another machine can connect to a port. Agents and consumers may then know it by any host name;
   * a loopback port knows its host names.
   */
  readonly isReachable: (port: 'proxy' | 'upstream') => boolean
}

/**
 * Denies requests of web pages, and asks `authorize` about the others. Agents and consumers of Adit and of
 * Piko send no `Origin`. A token is no page's: a browser adds none by itself, but it does add a client
 * certificate. So a port that asks for certificates denies pages as a port without credentials does.
 */
export function refusePages(
  authorize: Authorize,
  { hosts, isProtected, isReachable }: PageRuleFacts,
): Authorize {
  return (request) => {
    const port = request.action === 'listen' ? 'upstream' : 'proxy'
    const needsCredentials = isProtected(port)
    // A page that reads what its own host name answers sends no Origin, unless it opens a WebSocket.
    const isHandshake = request.headers.upgrade !== undefined
    const anyHost = needsCredentials || (isHandshake && isReachable(port))
    const foreign = findForeignRequest(request.headers, {
      port,
      hosts: anyHost ? 'any' : (hosts[port] ?? []),
      pages: needsCredentials && showsToken(request.headers) ? 'same-origin' : 'none',
    })
    return foreign === undefined ? authorize(request) : { status: 403, ...foreign }
  }
}
