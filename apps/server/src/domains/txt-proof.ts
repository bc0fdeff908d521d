import { promises as dns } from 'node:dns'

/** Where the proof of a domain is: a TXT record of this name below it. */
const LABEL = '_adit-challenge'

/** How long one DNS server is waited for, ms; it is asked twice. */
const QUERY_TIMEOUT_MS = 3_000

/** How long a check takes at most, with all servers, ms. */
const CHECK_TIMEOUT_MS = 10_000

/** Answers that say that there is nothing of that name; all others leave it open. */
export const MISSING_IN_DNS: ReadonlySet<unknown> = new Set([dns.NOTFOUND, dns.NODATA])

/** Whether the proof is there; `unknown` when DNS did not answer. */
export type ProofFound = 'proved' | 'missing' | 'unknown'

/** Looks for the proof of a domain. Never rejects. */
export type ProofCheck = (domain: string, value: string, signal: AbortSignal) => Promise<ProofFound>

/** Longest domain below which the record has a name (RFC 1035 section 2.3.4). */
export const MAX_PROVABLE_CHARS: number = 253 - LABEL.length - 1

/** Name of the record that proves a domain; for a wildcard it is at the name without `*.`. */
export function recordName(domain: string): string {
  return `${LABEL}.${domain.replace(/^\*\./, '')}`
}

/**
 * One for each check: it can be cancelled alone.
 *
 * @param servers - Empty: those of the system.
 */
export function resolverOf(servers: readonly string[]): dns.Resolver {
  const resolver = new dns.Resolver({ timeout: QUERY_TIMEOUT_MS, tries: 2 })
  if (servers.length > 0) resolver.setServers(servers)
  return resolver
}

/** @param servers - DNS servers, `192.0.2.53` or `[::1]:5353`. Empty: those of the system. */
export function txtProof(servers: readonly string[]): ProofCheck {
  return async (domain, value, signal) => {
    if (signal.aborted) return 'unknown'
    const resolver = resolverOf(servers)
    const cancel = (): void => resolver.cancel()
    const timer = setTimeout(cancel, CHECK_TIMEOUT_MS)
    signal.addEventListener('abort', cancel, { once: true })
    try {
      const records = await resolver.resolveTxt(recordName(domain))
      return records.some((parts) => parts.join('').trim() === value) ? 'proved' : 'missing'
    } catch (error) {
      return MISSING_IN_DNS.has((error as { readonly code?: unknown }).code) ? 'missing' : 'unknown'
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
    }
  }
}
