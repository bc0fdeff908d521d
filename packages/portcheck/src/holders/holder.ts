// The sockets and programs that hold a port, as far as this user can see them. Names come from other
// programs and are already escaped (printable.ts).
import { isIPv4 } from 'node:net'

import { isUnspecified } from '@proj/config/address'
import { type Endpoint, formatEndpoint } from '../endpoint.ts'

/** State of a socket that holds a port. `connected`: the port is one end of a connection. */
export type HolderState = 'listening' | 'connected' | 'closing' | 'time-wait'

/** One socket on the port, or several with the same facts. */
export interface Holder {
  /** Local address, an IP address without brackets. */
  readonly host: string
  /** Local port, 1 to 65535. */
  readonly port: number
  /** State of the socket. */
  readonly state: HolderState
  /** Numeric user id of the socket's owner (Linux). */
  readonly uid?: number
  /** User name of the owner, if it is known. */
  readonly user?: string
  /** Process id; the system can give it to another process later, so compare {@link startedAt}. */
  readonly pid?: number
  /** Name of the executable, control characters escaped, at most 64 characters. */
  readonly name?: string
  /** Command line, only on request and only of the caller's own processes; can contain secrets. */
  readonly commandLine?: string
  /** Start of the process, ISO 8601. */
  readonly startedAt?: string
  /** The purpose of a well-known process, such as "published by Docker". */
  readonly note?: string
  /** `self`: the calling process or its cluster; `previous-instance`: an earlier run of the same program. */
  readonly relation?: 'self' | 'previous-instance'
  /** Why there is no process: missing rights, another namespace, the owner has ended, or no tool. */
  readonly hiddenBecause?: 'permission' | 'namespace' | 'no-owner' | 'no-tool'
}

/** Describes a holder: `node (pid 4121, user joe) on 127.0.0.1:3000`. */
export function describeHolder(holder: Holder): string {
  const facts = [
    holder.pid === undefined ? undefined : `pid ${holder.pid}`,
    holder.user !== undefined || holder.uid !== undefined
      ? `user ${holder.user ?? holder.uid}`
      : undefined,
    holder.startedAt === undefined ? undefined : `since ${holder.startedAt}`,
  ].filter((fact) => fact !== undefined)
  const named = holder.relation === 'self' ? 'this process' : holder.name
  const who = named ?? (holder.hiddenBecause === 'no-owner' ? 'no process' : 'a hidden process')
  const detail = facts.length === 0 ? '' : ` (${facts.join(', ')})`
  return `${who}${detail} on ${formatEndpoint(holder)}`
}

/**
 * Tells whether a holder can be the reason that `endpoint` cannot be bound on Linux. A holder of `::`
 * counts for both families, because the table of the kernel does not say whether it accepts IPv4.
 */
export function mayBlock(holder: Pick<Holder, 'host'>, endpoint: Endpoint): boolean {
  if (endpoint.dual || holder.host === '::') return true
  if (isIPv4(holder.host) !== isIPv4(endpoint.host)) return false
  return (
    holder.host === endpoint.host.replace(/%.*$/, '') ||
    isUnspecified(holder.host) ||
    isUnspecified(endpoint.host)
  )
}

// Programs that hold ports for another program, so that their own name is misleading.
const NOTES: ReadonlyMap<string, string> = new Map([
  ['docker-proxy', 'published by Docker, see docker ps'],
  ['dockerd', 'published by Docker, see docker ps'],
  ['com.docker.backend', 'published by Docker Desktop, see docker ps'],
  ['rootlessport', 'published by a rootless container, see podman ps'],
  ['systemd', 'socket activation: the service manager holds it, see systemctl list-sockets'],
  ['launchd', 'socket activation: launchd holds it for a service'],
  ['ControlCe', 'AirPlay Receiver, can be switched off in the system settings'],
  ['ControlCenter', 'AirPlay Receiver, can be switched off in the system settings'],
  ['wslrelay.exe', 'a program inside WSL'],
  ['wslhost.exe', 'a program inside WSL'],
  ['System', 'http.sys, see netsh http show servicestate'],
])

/** Returns the purpose of a well-known process. */
export function noteOn(name: string): string | undefined {
  return NOTES.get(name)
}
