import { domainToASCII } from 'node:url'

import { formatHostPort } from '@proj/config/address'

/** A host and a port to connect to, or the path of a unix socket. */
export type Endpoint = { readonly host: string; readonly port: number } | { readonly path: string }

/** Formats an endpoint for messages: `host:port`, IPv6 in brackets, or the path. */
export function formatEndpoint(endpoint: Endpoint): string {
  return 'path' in endpoint ? endpoint.path : formatHostPort(endpoint.host, endpoint.port)
}

/**
 * Checks an endpoint and returns it in the form for the wire: host without brackets and in ASCII. The
 * host goes into proxy requests unchanged, so no character that ends a line is accepted.
 * @throws {TypeError | RangeError} naming the wrong field
 */
export function checkEndpoint(endpoint: Endpoint): Endpoint {
  if ('path' in endpoint) {
    if (endpoint.path === '' || endpoint.path.includes('\0')) {
      throw new TypeError(`path must be the path of a socket, got ${JSON.stringify(endpoint.path)}`)
    }
    return { path: endpoint.path }
  }
  const port = checkPort('port', endpoint.port)
  const bare = withoutBrackets(endpoint.host)
  // domainToASCII drops line ends without an error, so spaces and control characters are checked first.
  const plain = !/[\s\p{Cc}]/u.test(bare)
  const host = !plain ? '' : /^[\u0021-\u007e]+$/.test(bare) ? bare : domainToASCII(bare)
  // RFC 1035 section 2.3.4 allows 255 bytes; a host contains no user info and no delimiter of a URL.
  if (host === '' || host.length > 255 || /[@/\\?#[\]"<>]/.test(host)) {
    throw new TypeError(
      `host must be a name or an IP address, got ${JSON.stringify(endpoint.host)}`,
    )
  }
  return { host, port }
}

/**
 * Returns a port after its check.
 * @param name - name of the option, for the error
 * @throws {RangeError} when the port is not an integer from 1 to 65535
 */
export function checkPort(name: string, port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port
  throw new RangeError(`${name} must be an integer between 1 and 65535, got ${String(port)}`)
}

/** Returns a host without the brackets around an IPv6 address. */
export function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

/** Returns an address without its zone, which is valid on this host only and is not sent to a peer. */
export function withoutZone(host: string): string {
  const [address = ''] = host.split('%', 1)
  return address
}
