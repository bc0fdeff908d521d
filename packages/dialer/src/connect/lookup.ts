import { lookup as systemLookup } from 'node:dns/promises'

import { abandonable } from '../deadline.ts'
import { DialError, type DialLeg } from '../errors.ts'

/** One address of a name. */
export interface ResolvedAddress {
  /** IP address, with its zone if it has one. */
  readonly address: string
  /** 4 or 6. */
  readonly family: 4 | 6
}

/** Looks up a name and returns all addresses in order of preference. */
export type Lookup = (
  hostname: string,
  options: { readonly signal: AbortSignal },
) => Promise<readonly ResolvedAddress[]>

/** The addresses of `localhost`, whichever of them the resolver of this host knows (RFC 6761 section 6.3). */
const LOOPBACKS: readonly ResolvedAddress[] = [
  { address: '::1', family: 6 },
  { address: '127.0.0.1', family: 4 },
]

/**
 * Returns the addresses of a name, with alternating families (RFC 8305 section 4) and no duplicates.
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
 * Alternates the families, starting with that of the first address. The order within a family stays,
 * because the resolver has sorted by RFC 6724.
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

// A lookup by the system's resolver cannot be cancelled, and blocks one of libuv's few threads until
// it ends. Dials to the same name share one lookup, so a resolver that does not respond cannot block
// all threads.
const pending = new Map<string, Promise<readonly ResolvedAddress[]>>()

function lookupInSystem(hostname: string): Promise<readonly ResolvedAddress[]> {
  if (hostname.toLowerCase() === 'localhost') return Promise.resolve(LOOPBACKS)
  const shared = pending.get(hostname)
  if (shared !== undefined) return shared
  const running = systemLookup(hostname, { all: true, verbatim: true })
    .then((list) =>
      list.map((item) => ({
        address: item.address,
        family: item.family === 6 ? (6 as const) : (4 as const),
      })),
    )
    .finally(() => pending.delete(hostname))
  pending.set(hostname, running)
  return running
}

function lookupFailed(host: string, leg: DialLeg, error: unknown): DialError {
  const code =
    typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown'
  const missing = code === 'ENOTFOUND' || code === 'ENODATA'
  return new DialError(
    missing ? 'DIAL_DNS_NOT_FOUND' : 'DIAL_DNS_FAILED',
    missing
      ? `the name ${host} of the ${leg} does not exist (${code})`
      : `the lookup of ${host}, the name of the ${leg}, failed (${code})`,
    {
      phase: 'dns',
      leg,
      hint: missing
        ? 'check the spelling, and that the DNS of this network knows the name; an http or socks5h proxy looks it up by itself'
        : 'the DNS resolver of this host reports an error; it may be temporary',
      cause: error instanceof Error ? error : undefined,
    },
  )
}
