import type { AnswerStrictness } from '../protocol/answer-strictness.ts'
import { type EndpointLimits, readLimits, strictestLimits } from '../protocol/endpoint-limits.ts'
import type { StreamReuse } from '../protocol/stream-reuse.ts'
import type { ReadVisitorRules, VisitorRules } from '../protocol/visitor-rules.ts'

/** How an endpoint is served by the agents of this process, as other processes have to know it. */
export interface LocalRoute {
  /** Of all its sessions. */
  readonly identity: string
  /** `tcp`: all its sessions serve it as a TCP endpoint; `http`: none does; undefined: some do. */
  readonly kind: 'http' | 'tcp' | undefined
  /** Sessions that serve it, 1 or more. */
  readonly sessions: number
  /** Whether an agent wants to be the only one. */
  readonly exclusive: boolean
  /** That agent; undefined where none does. */
  readonly peer: string | undefined
  /** The strictest that its sessions asked for; undefined: none did. */
  readonly reuse: StreamReuse | undefined
  /** Undefined: none of them asked for strict reading. */
  readonly strictness: AnswerStrictness | undefined
  /** The agents' rules for visitors, for `readRouteRules`; undefined: there are none. */
  readonly rules: string | undefined
  /** The strictest of what its agents ask for as limits of visitors, for `readRouteLimits`; undefined: nothing. */
  readonly limits: string | undefined
  /**
   * Its agents by their keys, for `listsAgent`, without those whose services are down while others are up; undefined:
   * visitors are not bound to agents by cookies.
   */
  readonly agents: string | undefined
  /** Whether the services of all its sessions fail the health checks of their agents. */
  readonly isDown: boolean
  /** The epoch of its name; undefined where names are not claimed. */
  readonly epoch: number | undefined
}

/** The rules of one agent as text; equal rules of one kind are equal texts. */
export function ruleText(visitors: object, kind: 'http' | 'tcp'): string {
  return JSON.stringify([kind, visitors])
}

/** The limits of a route as text; undefined for none. */
export function formatRouteLimits(limits: Iterable<EndpointLimits>): string | undefined {
  const all = strictestLimits([...limits])
  return all && JSON.stringify(all)
}

/** Reads the limits of a route; those that are not understood are left out. */
export function readRouteLimits(text: string): EndpointLimits | undefined {
  try {
    return readLimits(JSON.parse(text))
  } catch {
    return undefined // written by another client of the database
  }
}

/** Joins texts of `ruleText`; undefined for none. */
export function formatRouteRules(texts: Iterable<string>): string | undefined {
  const all = [...new Set(texts)]
  return all.length === 0 ? undefined : `[${all.join(',')}]`
}

/**
 * Reads the rules of a route.
 *
 * @throws {Error} when one of them cannot be applied: then no visitor may be let in.
 */
export function readRouteRules<Rules extends VisitorRules>(
  text: string,
  read: ReadVisitorRules<Rules>,
): readonly Rules[] {
  const all: unknown = JSON.parse(text)
  if (!Array.isArray(all)) throw new TypeError('the rules of a route are no list')
  return all.map((one: unknown) => {
    const [kind, visitors] = Array.isArray(one) ? (one as unknown[]) : []
    const isRead = (kind === 'http' || kind === 'tcp') && typeof visitors === 'object'
    if (!isRead || visitors === null) throw new TypeError('a rule of a route is out of form')
    return read(visitors, kind)
  })
}
