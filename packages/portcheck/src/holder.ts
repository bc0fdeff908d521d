// Who holds a port, as far as this user may know. Names come from other programs and are escaped
// before they get here (printable.ts).

/** How a socket holds a port. */
export type HolderState = 'listening' | 'connected' | 'closing' | 'time-wait'

/** One socket on the port, or one group of equal sockets. */
export interface Holder {
  /** Local address, an IP literal without brackets. */
  readonly address: string
  /** Local port. */
  readonly port: number
  /** What the socket is doing. `connected` holds the port as the local end of a connection. */
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
  /** What the process is known for, such as "published by Docker". */
  readonly note?: string
  /** True when the socket belongs to the calling process. */
  readonly own?: boolean
  /** Why no process is named: missing rights, another namespace, or no owner at all. */
  readonly hiddenBecause?: 'permission' | 'namespace' | 'no-owner' | 'no-tool'
}
