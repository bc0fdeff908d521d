import type { Denial } from './authorization.ts'
import { jsonRefusal, type Refusal } from './refusal.ts'

/** A denial as an answer, as Piko words it. */
export function denialRefusal(
  { status, error, retryAfterMs }: Denial,
  headers: Readonly<Record<string, string>> = {},
): Refusal {
  if (retryAfterMs === undefined) return jsonRefusal(status, error, headers)
  // A second too late is welcome, a moment too early would be refused again.
  const seconds = `${Math.max(1, Math.ceil(retryAfterMs / 1000))}`
  return jsonRefusal(status, error, { 'retry-after': seconds, ...headers })
}
