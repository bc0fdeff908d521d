import { formatHostPort } from '@proj/config/address'
import {
  type InheritedSocket,
  type InheritedSockets,
  listen,
  type Listeners,
  type OnConnection,
  type ProxyProtocolOptions,
  type Warning,
} from '@proj/portcheck'
import type { Upstream } from '@proj/tunnel/server'

import type { PortClaim, PortOwner } from './port-claims.ts'

/** How a port is opened. */
export interface PublicPortBind {
  /** Hosts it is opened on. */
  readonly hosts: readonly string[]
  /** Addresses that may connect; absent: all. */
  readonly allow?: readonly string[] | undefined
  /** Addresses that may not connect. */
  readonly deny: readonly string[]
  /** Listening sockets of another process. Default: none. */
  readonly inherited?: InheritedSockets | undefined
  /** Load balancers in front of it. Default: none. */
  readonly proxyProtocol?: ProxyProtocolOptions | undefined
  /** Receives visitors, also while no session serves the port. */
  readonly onConnection: OnConnection
}

/**
 * One public port: open from the moment it is claimed until `hold` has passed since the last session
 * released it, so that no other endpoint can get it while an agent is away.
 */
export class PublicPort {
  readonly number: number
  readonly owner: PortOwner
  /** When it was claimed, ms since the epoch. */
  readonly since: number = Date.now()
  /** The claim of it beyond this process, where ports are claimed. */
  claim: PortClaim | undefined
  /** Whether another node has it for the same owner: then it is open here as well. */
  isElsewhere = false
  #listeners: Listeners | undefined
  readonly #sessions = new Map<object, Upstream>()
  #hold: { readonly timer: NodeJS.Timeout; readonly until: number } | undefined
  #closed = false

  constructor(number: number, owner: PortOwner) {
    this.number = number
    this.owner = owner
  }

  /** Sessions that serve it now. */
  get sessions(): readonly Upstream[] {
    return [...this.#sessions.values()]
  }

  /** Whether a session serves it now. */
  get isServed(): boolean {
    return this.#sessions.size > 0
  }

  /** Until when it is held without a session, ms since the epoch. */
  get heldUntil(): number | undefined {
    return this.#hold?.until
  }

  /** The sockets, as the system reports them. */
  get addresses(): readonly string[] {
    const bound = this.#listeners?.bound ?? []
    return bound.flatMap(({ sockets }) => sockets.map(({ address }) => address))
  }

  /** What differs from the request, such as an address family this machine lacks. */
  get warnings(): readonly Warning[] {
    return this.#listeners?.bound.flatMap(({ warnings }) => warnings) ?? []
  }

  /** Its listening sockets, for a process that takes over. */
  descriptors(): InheritedSocket[] {
    return this.#listeners?.descriptors(`port-${this.number}`) ?? []
  }

  /** Connections that the access lists refused. */
  get refused(): number {
    return this.#listeners?.stats().refused ?? 0
  }

  /**
   * Opens it on every host, or on none.
   *
   * @throws {PortcheckError} when it cannot be opened, with its holder.
   */
  async open({ hosts, ...how }: PublicPortBind): Promise<void> {
    const addresses = hosts.map((host) => formatHostPort(host, this.number))
    const listeners = await listen(addresses, { ...how, scheme: 'tcp' })
    if (this.#closed) listeners.destroy()
    this.#listeners = listeners
  }

  /** Replaces the access lists. */
  restrict(lists: Pick<PublicPortBind, 'allow' | 'deny'>): void {
    this.#listeners?.restrict(lists)
  }

  /**
   * A session serves it from now on.
   *
   * @param onLast - called when the last session has released it.
   * @returns releases it.
   */
  serve(session: Upstream, onLast: () => void): () => void {
    clearTimeout(this.#hold?.timer)
    this.#hold = undefined
    const hold = {} // the same session may have two for a short time
    this.#sessions.set(hold, session)
    return () => {
      if (this.#sessions.delete(hold) && this.#sessions.size === 0 && !this.#closed) onLast()
    }
  }

  /** Whether visitors may find an agent behind it. */
  get hasAgents(): boolean {
    return this.isServed || this.isElsewhere
  }

  /** Holds it for a time without a session. */
  hold(ms: number, onExpired: () => void): void {
    const timer = setTimeout(onExpired, ms)
    timer.unref() // does not keep the process alive
    this.#hold = { timer, until: Date.now() + ms }
  }

  /** Holds it no longer. */
  endHold(): void {
    clearTimeout(this.#hold?.timer)
    this.#hold = undefined
  }

  /** Frees it; connections go on. */
  close(): void {
    this.#closed = true
    this.endHold()
    // Resolves with the last connection, which PublicVisitors ends.
    void this.#listeners?.close()
  }
}
