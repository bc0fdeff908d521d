import { domainToASCII } from 'node:url'

import type { Endpoint } from './connect.ts'

/**
 * Checks a target and brings it into the form that goes over the wire: brackets off, name in ASCII.
 * A host goes into proxy requests as it is, so nothing that could end a line may pass.
 * @throws {TypeError | RangeError} naming what is wrong
 */
export function checkTarget(target: Endpoint): Endpoint {
  if ('path' in target) {
    if (target.path === '' || target.path.includes('\0')) {
      throw new TypeError(`path must be the path of a socket, got ${JSON.stringify(target.path)}`)
    }
    return { path: target.path }
  }
  const { port } = target
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`port must be an integer between 1 and 65535, got ${String(port)}`)
  }
  const bare = /^\[(.+)\]$/.exec(target.host)?.[1] ?? target.host
  // domainToASCII drops line ends without a word, so spaces and controls are looked for before it.
  const plain = !/[\s\p{Cc}]/u.test(bare)
  const host = !plain ? '' : /^[\u0021-\u007e]+$/.test(bare) ? bare : domainToASCII(bare)
  // RFC 1035 2.3.4 allows 255 bytes; userinfo and delimiters of a URL have no place in a host.
  if (host === '' || host.length > 255 || /[@/\\?#[\]"<>]/.test(host)) {
    throw new TypeError(`host must be a name or an IP address, got ${JSON.stringify(target.host)}`)
  }
  return { host, port }
}
