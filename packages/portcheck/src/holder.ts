// Who holds a port, as far as this user may know. Names come from other programs and are escaped
// before they get here (printable.ts).
import { isIPv4 } from 'node:net'

import { type Endpoint, formatEndpoint, isWildcard } from './endpoint.ts'

/** What a socket that holds a port is doing. `connected`: the port is one end of a connection. */
export type HolderState = 'listening' | 'connected' | 'closing' | 'time-wait'

/** One socket on the port, or several alike. */
export interface Holder {
  /** Local address, an IP literal without brackets. */
  readonly host: string
  /** Local port. */
  readonly port: number
  /** What the socket is doing. */
  readonly state: HolderState
  /** Numeric user id of the socket's owner (Linux). */
  readonly uid?: number
  /** User name of the owner, where it could be looked up. */
  readonly user?: string
  /** Process id at the time of the look; ids are reused, compare {@link startedAt}. */
  readonly pid?: number
  /** Name of the executable, control characters escaped, at most 64 characters. */
  readonly name?: string
  /** Command line, only when asked for and only of the caller's own processes; may hold secrets. */
  readonly commandLine?: string
  /** When the process started, ISO 8601. The socket is not older than this. */
  readonly startedAt?: string
  /** What a process of this name is known for, such as "published by Docker". */
  readonly note?: string
  /** The calling process or its cluster, or an earlier run of the same program. */
  readonly relation?: 'self' | 'previous-instance'
  /** Why no process is named: missing rights, another namespace, no owner any more, no tool. */
  readonly hiddenBecause?: 'permission' | 'namespace' | 'no-owner' | 'no-tool'
}

/** Says who holds a port in a few words: `node (pid 4121, user joe) on 127.0.0.1:3000`. */
export function describeHolder(holder: Holder): string {
  const facts = [
    holder.pid === undefined ? undefined : `pid ${holder.pid}`,
    holder.user !== undefined || holder.uid !== undefined
      ? `user ${holder.user ?? holder.uid}`
      : undefined,
    holder.startedAt === undefined ? undefined : `since ${holder.startedAt}`,
  ].filter((fact) => fact !== undefined)
  const named = holder.relation === 'self' ? 'this process' : holder.name
  const who = named ?? (holder.hiddenBecause === 'no-owner' ? 'nobody' : 'a hidden process')
  const detail = facts.length === 0 ? '' : ` (${facts.join(', ')})`
  return `${who}${detail} on ${formatEndpoint(holder)}`
}

/**
 * Whether a holder can be what keeps `endpoint` from binding on Linux. A holder of `::` may or may
 * not take IPv4: the kernel's table does not say, so it counts for both.
 */
export function mayBlock(holder: Pick<Holder, 'host'>, endpoint: Endpoint): boolean {
  if (endpoint.dual || holder.host === '::') return true
  if (isIPv4(holder.host) !== isIPv4(endpoint.host)) return false
  return (
    holder.host === endpoint.host.replace(/%.*$/, '') ||
    isWildcard(holder.host) ||
    isWildcard(endpoint.host)
  )
}
