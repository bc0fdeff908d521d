// A server may be wrong about its own recovery by a long way; nobody waits longer than this for it.
const MAX_RETRY_AFTER_MS = 5 * 60_000

/**
 * Reads a Retry-After header (RFC 9110 section 10.2.3), seconds or a date.
 * @param nowMs - the caller's clock, ms since the epoch
 * @returns the wait in ms, between 0 and five minutes; undefined for anything else
 */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs
  // Date.parse also takes things that are no HTTP-date, such as "-5".
  if (Number.isNaN(waitMs) || !/^\d+$|GMT$/.test(text)) return undefined
  return Math.min(Math.max(waitMs, 0), MAX_RETRY_AFTER_MS)
}
