/** The files of a web page that a program has as bytes, and the headers that every answer beside them has. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gunzipSync } from 'node:zlib'

/** A file of a page. */
export interface PageFile {
  /** Path below the root of the page, without a slash in front; `index.html` is the page itself. */
  readonly path: string
  /** Media type. */
  readonly type: string
  /** Whether the name has a hash of the content, so that browsers may keep it. */
  readonly isHashed: boolean
  /** Its bytes, gzip. */
  readonly gzip: Uint8Array
}

/** No script or style in the page itself, nothing from another host, no frame around it. */
const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ')

/** Headers of a page and of its API. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': CSP,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/**
 * Answers with a file.
 *
 * @param path - below the root of the page; empty: the page itself.
 * @returns false when there is no such file: nothing is answered then.
 */
export function sendPageFile(
  files: readonly PageFile[],
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): boolean {
  const found = files.find((file) => file.path === (path === '' ? 'index.html' : path))
  if (found === undefined) return false
  const takesGzip = acceptsGzip(request.headers['accept-encoding']?.toString())
  const body = takesGzip ? found.gzip : plainOf(found)
  response.writeHead(200, {
    'content-type': found.type,
    'cache-control': found.isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    'content-length': body.length,
    vary: 'accept-encoding',
    ...(takesGzip && { 'content-encoding': 'gzip' }),
  })
  response.end(request.method === 'HEAD' ? undefined : body)
  return true
}

/** RFC 9110 section 12.5.3: a coding with the weight 0 is not wanted. */
function acceptsGzip(accepted = ''): boolean {
  return accepted.split(',').some((one) => {
    const [coding = '', weight = 'q=1'] = one.split(';')
    return coding.trim().toLowerCase() === 'gzip' && Number(weight.split('=')[1]) > 0
  })
}

/** Files without gzip, for clients that do not take it. */
const plain = new WeakMap<PageFile, Uint8Array>()

function plainOf(file: PageFile): Uint8Array {
  const known = plain.get(file)
  if (known !== undefined) return known
  const made = gunzipSync(file.gzip)
  plain.set(file, made)
  return made
}
