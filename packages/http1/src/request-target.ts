/**
 * The request target (RFC 9112 section 3.2). An absolute form becomes an origin form when it agrees
 * with Host, and is rejected when it does not, so that there is only one name. Path and query are
 * forwarded byte for byte: a change to `//`, `/../` or `\` would break services.
 */

import { HttpError } from './errors.ts'
import { type HostParts, isSameAuthority, parseHost } from './host.ts'

const SLASH = 0x2f

/**
 * Returns the target in origin-form, or `*` for OPTIONS.
 * @throws {HttpError} TARGET_INVALID, HOST_MISMATCH
 */
export function originForm(method: string, target: string, host: HostParts): string {
  if (target.charCodeAt(0) === SLASH) return target
  if (target === '*' && method === 'OPTIONS') return target
  const schemeEnd = target.indexOf('://')
  const defaultPort = defaultPortOf(target.slice(0, Math.max(schemeEnd, 0)).toLowerCase())
  if (defaultPort === undefined) {
    throw new HttpError('request', 'TARGET_INVALID', `${target.length} characters`)
  }
  const start = schemeEnd + 3
  const end = endOfAuthority(target, start)
  const authority = parseHost(target.slice(start, end))
  if (authority === undefined) {
    throw new HttpError('request', 'TARGET_INVALID', 'authority of an absolute target')
  }
  if (!isSameAuthority(authority, host, defaultPort)) {
    throw new HttpError('request', 'HOST_MISMATCH', 'names or ports differ')
  }
  const rest = target.slice(end)
  if (rest.charCodeAt(0) === SLASH) return rest
  // RFC 9112 section 3.2.4: OPTIONS without path and query means the whole server.
  return rest === '' && method === 'OPTIONS' ? '*' : `/${rest}`
}

/** Returns the authority of a target in absolute form; empty for every other. */
export function authorityOf(target: string): string {
  const schemeEnd = target.indexOf('://')
  if (target.charCodeAt(0) === SLASH || schemeEnd === -1) return ''
  return target.slice(schemeEnd + 3, endOfAuthority(target, schemeEnd + 3))
}

function defaultPortOf(scheme: string): number | undefined {
  if (scheme === 'http') return 80
  return scheme === 'https' ? 443 : undefined
}

function endOfAuthority(target: string, start: number): number {
  for (let at = start; at < target.length; at++) {
    const character = target[at]
    if (character === '/' || character === '?' || character === '#') return at
  }
  return target.length
}
