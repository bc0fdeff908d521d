import { lookup as systemLookup } from 'node:dns/promises'

import { abandonable } from './deadline.ts'
import { DialError, type DialLeg } from './dial-error.ts'

/** One address a name stands for. */
export interface ResolvedAddress {
  /** IP address, with a zone where it needs one. */
  readonly address: string
  /** 4 or 6. */
  readonly family: 4 | 6
}

/** Looks a name up and returns every address in order of preference. */
export type Lookup = (
  hostname: string,
  options: { readonly signal: AbortSignal },
) => Promise<readonly ResolvedAddress[]>

/**
 * Returns the addresses of a name, families interleaved (RFC 8305 section 4), duplicates removed.
 * @throws {DialError} DIAL_DNS_NOT_FOUND or DIAL_DNS_FAILED
 */
export async function lookupHost(
  host: string,
  leg: DialLeg,
  lookup: Lookup = lookupInSystem,
  signal: AbortSignal,
): Promise<readonly ResolvedAddress[]> {
  let answer: readonly ResolvedAddress[]
  try {
    answer = await abandonable(lookup(host, { signal }), signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw lookupFailed(host, leg, error)
  }
  if (answer.length === 0) throw lookupFailed(host, leg, { code: 'ENODATA' })
  return interleave(answer)
}

/**
 * Alternates families, starting with that of the first address, and keeps the order within each:
 * the resolver has sorted by RFC 6724 already.
 */
export function interleave(addresses: readonly ResolvedAddress[]): readonly ResolvedAddress[] {
  const seen = new Set<string>()
  const unique = addresses.filter(({ address }) => !seen.has(address) && seen.add(address))
  const first = unique.filter(({ family }) => family === unique[0]?.family)
  const other = unique.filter(({ family }) => family !== unique[0]?.family)
  const mixed: ResolvedAddress[] = []
  for (let i = 0; i < Math.max(first.length, other.length); i += 1) {
    mixed.push(...first.slice(i, i + 1), ...other.slice(i, i + 1))
  }
  return mixed
}

// A question to the system's resolver cannot be taken back and holds one of libuv's few threads
// until the resolver gives up. Dials that ask for the same name therefore share one question, so
// that a dead resolver cannot take every thread.
const pending = new Map<string, Promise<readonly ResolvedAddress[]>>()

function lookupInSystem(hostname: string): Promise<readonly ResolvedAddress[]> {
  const shared = pending.get(hostname)
  if (shared !== undefined) return shared
  const question = systemLookup(hostname, { all: true, verbatim: true })
    .then((list) =>
      list.map((item) => ({
        address: item.address,
        family: item.family === 6 ? (6 as const) : (4 as const),
      })),
    )
    .finally(() => pending.delete(hostname))
  pending.set(hostname, question)
  return question
}

function lookupFailed(host: string, leg: DialLeg, error: unknown): DialError {
  const code =
    typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown'
  const missing = code === 'ENOTFOUND' || code === 'ENODATA'
  return new DialError(
    missing ? 'DIAL_DNS_NOT_FOUND' : 'DIAL_DNS_FAILED',
    missing
      ? `the name of the ${leg}, ${host}, does not exist (${code})`
      : `the name of the ${leg}, ${host}, could not be looked up (${code})`,
    {
      phase: 'dns',
      leg,
      hint: missing
        ? 'check the spelling, and whether this network knows the name (a proxy may: use http or socks5h)'
        : 'the resolver of this host does not answer properly; it may be temporary',
      cause: error instanceof Error ? error : undefined,
    },
  )
}
