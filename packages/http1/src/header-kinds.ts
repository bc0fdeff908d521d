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
  /** A name that only the edge may write, spelled with underscores, see {@link kindOf}. */
  disguised: 0x800000,
  /** In addition to a kind: the line is not exactly "Name: value" but has other blanks around the value. */
  isLoose: 0x1000000,
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
])

// Headers that the edge sets or removes. CGI services cannot tell X_Forwarded_For from
// X-Forwarded-For, so the spelling with underscores is always removed.
const OWNED: number =
  KIND.forwarded |
  KIND.forwardedFor |
  KIND.forwardedHost |
  KIND.forwardedProto |
  KIND.pikoAuthorization |
  KIND.pikoForward |
  KIND.requestId

/** A name as bytes, for comparison. */
interface Candidate {
  readonly bytes: Uint8Array
  readonly kind: number
}

const LONGEST = Math.max(...Array.from(NAMES.keys(), (name) => name.length))
const FORWARDED_PREFIX = Buffer.from('x-forwarded-')

// Length and last letter are different for each name, so at most one has to be compared.
const CANDIDATES: readonly (Candidate | undefined)[] = candidates()

/**
 * Returns the kind of a name, 0 for a name that no rule needs.
 * @param bytes - contain the name from start to end; it is a token
 * @param hasUnderscore - whether the name contains an underscore
 */
export function kindOf(
  bytes: Uint8Array,
  start: number,
  end: number,
  hasUnderscore: boolean,
): number {
  const length = end - start
  if (length <= LONGEST) {
    const candidate = CANDIDATES[slotOf(length, bytes[end - 1] ?? 0)]
    if (candidate !== undefined && startsWith(bytes, start, candidate.bytes)) return candidate.kind
  }
  if (length >= FORWARDED_PREFIX.length && startsWith(bytes, start, FORWARDED_PREFIX)) {
    return KIND.forwardedOther
  }
  return hasUnderscore && isDisguised(bytes, start, end) ? KIND.disguised : 0
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
  if (end - start > LONGEST) return false
  const name = Buffer.from(bytes.subarray(start, end)).toString('latin1')
  const plain = NAMES.get(name.toLowerCase().replaceAll('_', '-')) ?? 0
  return (plain & OWNED) !== 0
}

function slotOf(length: number, lastByte: number): number {
  return (length << 5) | (lastByte & 0x1f)
}

function candidates(): (Candidate | undefined)[] {
  const slots = Array.from<Candidate | undefined>({ length: (LONGEST + 1) << 5 })
  for (const [name, kind] of NAMES) {
    slots[slotOf(name.length, name.charCodeAt(name.length - 1))] = {
      bytes: Buffer.from(name),
      kind,
    }
  }
  return slots
}
