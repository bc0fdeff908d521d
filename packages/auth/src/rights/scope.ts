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

/** Most names of a scope that are told. */
const MAX_TOLD = 5

/** What a scope allows where it does not permit something with an endpoint, as a clause about its token. */
export function describeScope({ may, patterns, names }: Scope, right: Right): string {
  if (!may.has(right)) {
    return may.size === 0
      ? 'the token has no rights'
      : `the token may ${[...may].join(' and ')}, not ${right}`
  }
  const told = (texts: readonly string[]): string =>
    texts.slice(0, MAX_TOLD).join(', ') + (texts.length > MAX_TOLD ? ' and others' : '')
  const limits = [patterns, names && [...names]].flatMap((one) =>
    one === undefined ? [] : [one.length === 0 ? 'no endpoint' : told(one)],
  )
  return `the token is for ${limits.join(' within ')}`
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
