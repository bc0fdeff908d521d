import type { BackoffOptions } from '@proj/dialer'

import type { ListenSession } from './listen-session.ts'
import { keepConnected } from './keep-connected.ts'
import type { Listener } from './listener.ts'
import type { NetworkChanges } from './network-watch.ts'

/** What a link asks of its agent. */
export interface AgentLinkOptions {
  /** Makes one session, for the link's primary endpoint. */
  connect(link: AgentLink, signal: AbortSignal): Promise<ListenSession>
  /** A session is up: endpoints are to be registered on it. */
  onConnected(link: AgentLink, session: ListenSession): void
  /** An attempt failed, or a session ended; the next attempt waits. */
  onRetry(error: unknown, delayMs: number): void
  /** Trying again does not help; the link has ended. */
  onFatal(link: AgentLink, error: unknown): void
  /** Whether each attempt shows other credentials. */
  readonly renewsCredentials: boolean
  /** Delays between attempts. */
  readonly backoff: BackoffOptions
  /** Default: that of the system. */
  readonly network: NetworkChanges | undefined
}

/**
 * One kept connection of an agent. While a server drains, and when the network changed, there are two sessions: the old one serves
 * until the new one has registered every endpoint, and only then closes, so that the endpoints are
 * always served.
 */
export class AgentLink {
  /** The endpoint named in the route; on the baseline wire the only one this link serves. */
  primary: Listener

  readonly #options: AgentLinkOptions
  readonly #stop = new AbortController()
  /** Oldest first; all but the last are being left. */
  readonly #sessions = new Set<ListenSession>()
  readonly #done: Promise<void>

  constructor(primary: Listener, options: AgentLinkOptions) {
    this.primary = primary
    this.#options = options
    this.#done = keepConnected({
      connect: (signal) => this.#connect(signal),
      onConnected: (session) => this.#onConnected(session),
      onRetry: (error, delayMs) => options.onRetry(error, delayMs),
      renewsCredentials: options.renewsCredentials,
      backoff: options.backoff,
      network: options.network,
      signal: this.#stop.signal,
    }).catch((error: unknown) => options.onFatal(this, error))
  }

  get sessions(): ReadonlySet<ListenSession> {
    return this.#sessions
  }

  /** Ends the link: open streams finish, until `signal` is aborted. */
  async close(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#sessions].map((session) => session.close(options)))
    await this.#done
  }

  /** Ends the link now. */
  async destroy(): Promise<void> {
    this.#stop.abort()
    const sessions = [...this.#sessions]
    for (const session of sessions) session.destroy()
    await Promise.all([this.#done, ...sessions.map((session) => session.closed)])
  }

  async #connect(signal: AbortSignal): Promise<ListenSession> {
    const session = await this.#options.connect(this, signal)
    if (signal.aborted) {
      session.destroy()
      throw signal.reason
    }
    this.#sessions.add(session)
    void session.closed.then(() => this.#sessions.delete(session))
    return session
  }

  #onConnected(session: ListenSession): void {
    const before = [...this.#sessions].filter((one) => one !== session)
    this.#options.onConnected(this, session)
    void session.answered().then((answered) => {
      if (!answered) return
      for (const old of before) void old.close()
    })
  }
}
