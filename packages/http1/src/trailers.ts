/**
 * Names that are not allowed as trailers (RFC 9110 section 6.5.1). A trailer passes the edge after
 * the rules for headers were applied, and some services merge trailers into headers: without this
 * list a visitor could send again, as a trailer, a header that the edge removed.
 */

import { KIND, kindNamed } from './header-kinds.ts'

const FORBIDDEN: ReadonlySet<string> = new Set([
  // framing
  'content-length',
  'transfer-encoding',
  'trailer',
  // connection
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
  // routing and request modifiers
  'host',
  'expect',
  'max-forwards',
  'range',
  // credentials
  'authorization',
  'proxy-authenticate',
  'proxy-authorization',
  'www-authenticate',
  'cookie',
  'set-cookie',
  // how to read the content
  'content-encoding',
  'content-range',
  'content-type',
  // who asked
  'forwarded',
])

// Who asked, and what only an Adit server writes.
const OWNED: number = KIND.clientAddress | KIND.requestId | KIND.aditError | KIND.aditHops

/** Tells whether a trailer of that name is rejected. Underscores count as hyphens, as they do in CGI. */
export function isForbiddenTrailer(name: string): boolean {
  const plain = name.toLowerCase().replaceAll('_', '-')
  if (((kindNamed(plain) ?? 0) & OWNED) !== 0) return true
  return FORBIDDEN.has(plain) || plain.startsWith('x-forwarded-') || plain.startsWith('x-piko-')
}
