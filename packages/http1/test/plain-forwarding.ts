/**
 * The header rules again, written in the simplest way: names in lower case, sets and lists. Tests
 * compare the fast implementation with this one.
 */
import { isVisible } from '../src/ascii.ts'
import { formatRequestHead, formatResponseHead } from '../src/format-head.ts'
import type { ForwardRequestOptions } from '../src/forward-request.ts'
import type { ForwardResponseOptions } from '../src/forward-response.ts'
import type { VisitorConnection } from '../src/forwarded-for.ts'
import { joined, listItems } from '../src/header-list.ts'
import { parseHost } from '../src/host.ts'
import type { RequestHead } from '../src/request-head.ts'
import type { ResponseHead } from '../src/response-head.ts'

/** Returns the head that {@link rewriteRequestHead} must return. */
export function plainRequest(head: RequestHead, options: ForwardRequestOptions): string {
  const headers = forwardRequestHeaders(head, options)
  return formatRequestHead({ method: head.method, target: head.target, headers })
}

/** Returns the head that {@link rewriteResponseHead} must return. */
export function plainResponse(head: ResponseHead, options: ForwardResponseOptions): string {
  const headers = forwardResponseHeaders(head, options)
  return formatResponseHead({ status: head.status, reason: head.reason, headers })
}

/** Names, in lower case, that never go to the next hop. TE and Upgrade are added again where they are allowed. */
const HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'upgrade',
])

const NEVER_NAMED: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'forwarded',
  'host',
  'set-cookie',
  'trailer',
  'transfer-encoding',
])

/** Headers that some proxy writes the client's address into. */
export const CLIENT_ADDRESSES: ReadonlySet<string> = new Set([
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'cf-pseudo-ipv4',
  'client-ip',
  'fastly-client-ip',
  'forwarded-for',
  'proxy-client-ip',
  'true-client-ip',
  'wl-proxy-client-ip',
  'x-appengine-user-ip',
  'x-azure-clientip',
  'x-azure-socketip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-envoy-external-address',
  'x-forwarded',
  'x-original-forwarded-for',
  'x-originating-ip',
  'x-real-ip',
  'x-remote-addr',
  'x-remote-ip',
])

const NONE: ReadonlySet<string> = new Set()

/**
 * Returns the names, in lower case, that the Connection headers remove besides {@link HOP_HEADERS}.
 * @param headers - name, value, name, value
 */
function namesInConnection(headers: readonly string[]): ReadonlySet<string> {
  let names: Set<string> | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    if (name.length !== 10 || name.toLowerCase() !== 'connection') continue
    for (const item of listItems((headers[at + 1] ?? '').toLowerCase())) {
      if (isOption(item) || isProtected(item)) continue
      names ??= new Set()
      names.add(item)
    }
  }
  return names ?? NONE
}

function isOption(item: string): boolean {
  return item === 'close' || HOP_HEADERS.has(item)
}

function isProtected(name: string): boolean {
  if (CLIENT_ADDRESSES.has(name)) return true
  if (name === 'x-request-id' || name === 'adit-error' || name === 'adit-hops') return true
  return NEVER_NAMED.has(name) || name.startsWith('x-forwarded-') || name.startsWith('x-piko-')
}

/** The three values for the next hop. */
interface ForwardedValues {
  readonly for: string
  readonly proto: string
  readonly host: string
}

/** Values of the request, repeated headers joined to one list; undefined where absent. */
interface IncomingForwarded {
  for: string | undefined
  proto: string | undefined
  host: string | undefined
}

/**
 * Returns the values for the next hop.
 * @param host - Host of the request
 * @param trustedHops - number of trusted proxies in front; 0 ignores the values of the request
 * @throws {TypeError} when clientAddress is not valid in a header
 */
function forwardedValues(
  incoming: IncomingForwarded,
  connection: VisitorConnection,
  host: string,
  trustedHops: number,
): ForwardedValues {
  const { clientAddress, scheme } = connection
  if (!isVisible(clientAddress) || clientAddress.includes(',')) {
    throw new TypeError(`clientAddress is not an address: ${JSON.stringify(clientAddress)}`)
  }
  if (trustedHops === 0) return { for: clientAddress, proto: scheme, host }
  const kept = listItems(incoming.for ?? '').slice(-trustedHops)
  const proto = trustedItem(incoming.proto, trustedHops)?.toLowerCase()
  const forwardedHost = trustedItem(incoming.host, trustedHops)
  return {
    for: [...kept, clientAddress].join(', '),
    proto: proto === 'http' || proto === 'https' ? proto : scheme,
    host: forwardedHost !== undefined && parseHost(forwardedHost) ? forwardedHost : host,
  }
}

/**
 * Returns the entry of the first trusted proxy on the way. Most proxies replace these two headers
 * instead of appending to them, so there is usually only one entry.
 */
function trustedItem(value: string | undefined, trustedHops: number): string | undefined {
  return value === undefined ? undefined : listItems(value).slice(-trustedHops)[0]
}

// CGI services cannot tell X_Forwarded_For from X-Forwarded-For, so of these and those that start with
// x-forwarded- the spelling with underscores is always removed.
const OWNED: ReadonlySet<string> = new Set([
  ...HOP_HEADERS,
  ...CLIENT_ADDRESSES,
  'adit-error',
  'adit-hops',
  'authorization',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'trailer',
  'transfer-encoding',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-piko-authorization',
  'x-piko-endpoint',
  'x-piko-forward',
  'x-piko-tenant-id',
  'x-request-id',
])

/**
 * Returns the headers of a request for the next hop: name, value, name, value.
 * @throws {TypeError} when clientAddress or requestId is not valid in a header
 * @throws {RangeError} when trustedHops is not an integer from 0
 */
function forwardRequestHeaders(head: RequestHead, options: ForwardRequestOptions): string[] {
  const trustedHops = options.trustedHops ?? 0
  if (!Number.isInteger(trustedHops) || trustedHops < 0) {
    throw new RangeError(`trustedHops must be an integer from 0, got ${String(trustedHops)}`)
  }
  const named = namesInConnection(head.headers)
  const incoming: IncomingForwarded = { for: undefined, proto: undefined, host: undefined }
  const headers: string[] = []
  let acceptsTrailers = false
  for (let at = 0; at < head.headers.length; at += 2) {
    const original = head.headers[at] ?? ''
    const value = head.headers[at + 1] ?? ''
    const name = original.toLowerCase()
    if (HOP_HEADERS.has(name)) {
      if (name === 'te') acceptsTrailers ||= listItems(value.toLowerCase()).includes('trailers')
    } else if (collectForwarded(incoming, name, value) || named.has(name)) {
      continue
    } else if (!isRemoved(name, head, options, trustedHops)) {
      headers.push(original, value)
    }
  }
  const forwarded = forwardedValues(incoming, options, head.host, trustedHops)
  headers.push('x-forwarded-for', forwarded.for, 'x-forwarded-proto', forwarded.proto)
  headers.push('x-forwarded-host', forwarded.host, 'x-piko-forward', 'true')
  headers.push('adit-hops', hops(head))
  if (options.requestId !== undefined) {
    if (!isVisible(options.requestId)) throw new TypeError('requestId is not visible ASCII')
    headers.push('x-request-id', options.requestId)
  }
  if (acceptsTrailers) headers.push('TE', 'trailers')
  if (head.upgrade !== undefined) headers.push('Connection', 'Upgrade', 'Upgrade', head.upgrade)
  return headers
}

function hops(head: RequestHead): string {
  const value = head.headers
    .filter((_, at, all) => at % 2 === 1 && all[at - 1]?.toLowerCase() === 'adit-hops')
    .join(', ')
  if (value === '' && !head.headers.some((name) => name.toLowerCase() === 'adit-hops')) return '1'
  return /^\d{1,3}$/.test(value) ? String(Number(value) + 1) : 'Infinity'
}

function isRemoved(
  name: string,
  head: RequestHead,
  options: ForwardRequestOptions,
  trustedHops: number,
): boolean {
  switch (name) {
    case 'authorization':
      return options.authorizationConsumed ?? false
    case 'expect':
      // RFC 9110 section 10.1.1: an expectation in an HTTP/1.0 request is to be ignored.
      return head.versionMinor === 0
    case 'forwarded':
      return trustedHops === 0
    case 'x-request-id':
      return options.requestId !== undefined
    case 'x-piko-authorization':
    case 'x-piko-forward':
    case 'adit-hops':
      return true
    default:
      if (name.includes('_')) {
        const plain = name.replaceAll('_', '-')
        return OWNED.has(plain) || plain.startsWith('x-forwarded-')
      }
      return trustedHops === 0 && (name.startsWith('x-forwarded-') || CLIENT_ADDRESSES.has(name))
  }
}

function collectForwarded(incoming: IncomingForwarded, name: string, value: string): boolean {
  switch (name) {
    case 'x-forwarded-for':
      incoming.for = joined(incoming.for, value)
      return true
    case 'x-forwarded-proto':
      incoming.proto = joined(incoming.proto, value)
      return true
    case 'x-forwarded-host':
      incoming.host = joined(incoming.host, value)
      return true
    default:
      return false
  }
}

/**
 * Returns the headers of a response for the visitor: name, value, name, value. Connection is set to
 * close, to keep-alive for HTTP/1.0, or to Upgrade for 101 and 426, and is otherwise left out. Framing
 * headers are removed from 1xx and 204, which must not have them (RFC 9112 section 6).
 */
function forwardResponseHeaders(head: ResponseHead, options: ForwardResponseOptions): string[] {
  const named = namesInConnection(head.headers)
  const isBodiless = head.status < 200 || head.status === 204
  const isUpgrade = head.status === 101 || head.status === 426
  const headers: string[] = []
  let upgrade: string | undefined
  for (let at = 0; at < head.headers.length; at += 2) {
    const original = head.headers[at] ?? ''
    const value = head.headers[at + 1] ?? ''
    const name = original.toLowerCase()
    if (HOP_HEADERS.has(name)) {
      if (name === 'upgrade' && isUpgrade) upgrade = value
    } else if (name === 'adit-error') {
      continue // written by Adit alone
    } else if (!named.has(name) && !isUnreadable(name, isBodiless, options.versionMinor)) {
      headers.push(original, value)
    }
  }
  if (upgrade !== undefined) headers.push('Upgrade', upgrade)
  const connection = connectionValue(head.status, upgrade !== undefined, options)
  if (connection !== undefined) headers.push('Connection', connection)
  const isUntilClose = head.framing.kind === 'until-close'
  if (isUntilClose && options.versionMinor === 1) headers.push('Transfer-Encoding', 'chunked')
  return headers
}

function isUnreadable(name: string, isBodiless: boolean, versionMinor: 0 | 1): boolean {
  if (name === 'content-length') return isBodiless
  if (name === 'transfer-encoding') return isBodiless || versionMinor === 0
  return name === 'trailer' && versionMinor === 0
}

function connectionValue(
  status: number,
  isUpgrade: boolean,
  { versionMinor, keepAlive }: ForwardResponseOptions,
): string | undefined {
  if (status === 101) return 'Upgrade'
  // An interim response does not end the connection.
  if (status < 200) return undefined
  const options: string[] = []
  if (isUpgrade) options.push('Upgrade')
  if (!keepAlive) options.push('close')
  else if (versionMinor === 0) options.push('keep-alive')
  return options.length === 0 ? undefined : options.join(', ')
}
