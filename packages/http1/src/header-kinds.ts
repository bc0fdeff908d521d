/**
 * The headers that the rules of this package need, one bit for each: a rule about several headers is
 * a mask, and a test whether any of them was sent is one operation. Every other header has kind 0,
 * and no string is made of its name.
 */

/** The kinds of header. A line has at most one of them, and in addition perhaps `isLoose`. */
export const KIND = {
  connection: 0x1,
  keepAlive: 0x2,
  proxyAuthenticate: 0x4,
  proxyAuthorization: 0x8,
  proxyConnection: 0x10,
  te: 0x20,
  upgrade: 0x40,
  host: 0x80,
  contentLength: 0x100,
  transferEncoding: 0x200,
  trailer: 0x400,
  expect: 0x800,
  authorization: 0x1000,
  forwarded: 0x2000,
  requestId: 0x4000,
  forwardedFor: 0x8000,
  forwardedProto: 0x10000,
  forwardedHost: 0x20000,
  /** Any other name that starts with `x-forwarded-`. */
  forwardedOther: 0x40000,
  pikoAuthorization: 0x80000,
  pikoForward: 0x100000,
  pikoEndpoint: 0x200000,
  pikoTenantId: 0x400000,
  /** A name of another kind, spelled with underscores, see {@link kindOf}. */
  disguised: 0x800000,
  /** In addition to a kind: the line is not exactly "Name: value" but has other blanks around the value. */
  isLoose: 0x1000000,
  /** A header that some proxy writes the client's address into, other than X-Forwarded-For. */
  clientAddress: 0x2000000,
  /** The code of an error response of Adit itself. */
  aditError: 0x4000000,
  /** How many Adit servers the request has passed. */
  aditHops: 0x8000000,
  /** The context of a trace (W3C Trace Context). */
  traceparent: 0x10000000,
  tracestate: 0x20000000,
} as const

const NAMES: ReadonlyMap<string, number> = new Map([
  ['connection', KIND.connection],
  ['keep-alive', KIND.keepAlive],
  ['proxy-authenticate', KIND.proxyAuthenticate],
  ['proxy-authorization', KIND.proxyAuthorization],
  ['proxy-connection', KIND.proxyConnection],
  ['te', KIND.te],
  ['upgrade', KIND.upgrade],
  ['host', KIND.host],
  ['content-length', KIND.contentLength],
  ['transfer-encoding', KIND.transferEncoding],
  ['trailer', KIND.trailer],
  ['expect', KIND.expect],
  ['authorization', KIND.authorization],
  ['forwarded', KIND.forwarded],
  ['x-request-id', KIND.requestId],
  ['x-forwarded-for', KIND.forwardedFor],
  ['x-forwarded-proto', KIND.forwardedProto],
  ['x-forwarded-host', KIND.forwardedHost],
  ['x-piko-authorization', KIND.pikoAuthorization],
  ['x-piko-forward', KIND.pikoForward],
  ['x-piko-endpoint', KIND.pikoEndpoint],
  ['x-piko-tenant-id', KIND.pikoTenantId],
  ['client-ip', KIND.clientAddress],
  ['proxy-client-ip', KIND.clientAddress],
  ['wl-proxy-client-ip', KIND.clientAddress],
  ['x-real-ip', KIND.clientAddress],
  ['x-client-ip', KIND.clientAddress],
  ['x-cluster-client-ip', KIND.clientAddress],
  ['x-originating-ip', KIND.clientAddress],
  ['x-remote-ip', KIND.clientAddress],
  ['x-remote-addr', KIND.clientAddress],
  ['x-original-forwarded-for', KIND.clientAddress],
  ['x-envoy-external-address', KIND.clientAddress],
  ['x-azure-clientip', KIND.clientAddress],
  ['x-azure-socketip', KIND.clientAddress],
  ['x-appengine-user-ip', KIND.clientAddress],
  ['true-client-ip', KIND.clientAddress],
  ['cf-connecting-ip', KIND.clientAddress],
  ['cf-connecting-ipv6', KIND.clientAddress],
  ['cf-pseudo-ipv4', KIND.clientAddress],
  ['fastly-client-ip', KIND.clientAddress],
  ['x-forwarded', KIND.clientAddress],
  ['forwarded-for', KIND.clientAddress],
  ['adit-error', KIND.aditError],
  ['adit-hops', KIND.aditHops],
  ['traceparent', KIND.traceparent],
  ['tracestate', KIND.tracestate],
])

/** A name as bytes, for comparison. */
interface Candidate {
  readonly bytes: Uint8Array
  readonly kind: number
  /** Another name with the same length and last letter. */
  readonly next: Candidate | undefined
}

const LONGEST = Math.max(...Array.from(NAMES.keys(), (name) => name.length))
const FORWARDED = 'x-forwarded-'
const FORWARDED_PREFIX = Buffer.from(FORWARDED)

// By length and last letter: few names have both in common, so mostly one at most is compared.
const CANDIDATES: readonly (Candidate | undefined)[] = candidates()

/**
 * Returns the kind of a name, 0 for a name that no rule needs. CGI, PHP and WSGI services cannot tell
 * X_Real_IP from X-Real-IP: a name that has a kind when its underscores are hyphens is `disguised`. It
 * has no other kind, for a parser that tells them apart must not take it for the header it resembles.
 * @param bytes - contain the name from start to end; it is a token
 * @param hasUnderscore - whether the name contains an underscore
 */
export function kindOf(
  bytes: Uint8Array,
  start: number,
  end: number,
  hasUnderscore: boolean,
): number {
  if (hasUnderscore) return isDisguised(bytes, start, end) ? KIND.disguised : 0
  const length = end - start
  if (length <= LONGEST) {
    let candidate = CANDIDATES[slotOf(length, bytes[end - 1] ?? 0)]
    while (candidate !== undefined) {
      if (startsWith(bytes, start, candidate.bytes)) return candidate.kind
      candidate = candidate.next
    }
  }
  if (length >= FORWARDED_PREFIX.length && startsWith(bytes, start, FORWARDED_PREFIX)) {
    return KIND.forwardedOther
  }
  return 0
}

/** Returns the kind of exactly this name, in lower case; undefined if it has no kind of its own. */
export function kindNamed(lowerName: string): number | undefined {
  return NAMES.get(lowerName)
}

/** Bit 5 turns capitals into lower case, and no other byte of a token into a letter or a hyphen. */
function startsWith(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let at = 0; at < name.length; at++) {
    if (((bytes[start + at] ?? 0) | 0x20) !== name[at]) return false
  }
  return true
}

function isDisguised(bytes: Uint8Array, start: number, end: number): boolean {
  const compared = Math.min(end, start + LONGEST + 1)
  const name = Buffer.from(bytes.subarray(start, compared)).toString('latin1')
  const plain = name.toLowerCase().replaceAll('_', '-')
  return NAMES.has(plain) || plain.startsWith(FORWARDED)
}

function slotOf(length: number, lastByte: number): number {
  return (length << 5) | (lastByte & 0x1f)
}

function candidates(): (Candidate | undefined)[] {
  const slots = Array.from<Candidate | undefined>({ length: (LONGEST + 1) << 5 })
  for (const [name, kind] of NAMES) {
    const slot = slotOf(name.length, name.charCodeAt(name.length - 1))
    slots[slot] = { bytes: Buffer.from(name), kind, next: slots[slot] }
  }
  return slots
}
