import { matchesPattern } from './endpoint-patterns.ts'

/** What a credential may allow: to serve endpoints, to connect to them, to operate the server. */
export const RIGHTS = ['listen', 'connect', 'admin'] as const

/** One of {@link RIGHTS}. */
export type Right = (typeof RIGHTS)[number]

/** What a credential allows; what it does not name it does not allow. */
export interface Scope {
  /** The rights it gives. */
  readonly may: ReadonlySet<Right>
  /** Endpoints the rights are for, as patterns (`pc*`). Absent: every endpoint. Empty: none. */
  readonly patterns?: readonly string[]
  /** Endpoints by their exact names, in which `*` is a character. Absent: every endpoint. */
  readonly names?: ReadonlySet<string>
}

/**
 * Whether a scope gives a right. Where it has patterns and names, an endpoint must be in both.
 *
 * @param endpoint - left out for what concerns no endpoint, such as `admin`
 */
export function scopePermits(scope: Scope, right: Right, endpoint?: string): boolean {
  if (!scope.may.has(right)) return false
  if (endpoint === undefined) return true
  const { patterns, names } = scope
  if (names !== undefined && !names.has(endpoint)) return false
  return patterns === undefined || patterns.some((pattern) => matchesPattern(pattern, endpoint))
}
