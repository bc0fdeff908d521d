import type { BackoffOptions } from '@proj/dialer'

import type { CloseOptions, ListenSession } from './listen-session.ts'
import { keepConnected } from './keep-connected.ts'
import type { Listener } from './listener.ts'
import type { NetworkChanges } from './network-watch.ts'
import type { SpreadLink } from './server-spread.ts'

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
  /** A session ended because its credentials are not valid any more: whether that is the end of the link. */
  isOver(session: ListenSession, error: unknown): boolean
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
export class AgentLink implements SpreadLink<ListenSession> {
  /** Number of the link; links begin at different servers. */
  readonly position: number
  /** The endpoint named in the route; on the baseline wire the only one this link serves. */
  primary: Listener
  /** Base URL of the server that is tried, or was reached last. */
  target: string | undefined

  readonly #options: AgentLinkOptions
  readonly #stop = new AbortController()
  /** Oldest first; all but the last are being left. */
  readonly #sessions = new Set<ListenSession>()
  readonly #done: Promise<void>
  /** Made already, to take the place of the current one. */
  #next: ListenSession | undefined

  constructor(primary: Listener, position: number, options: AgentLinkOptions) {
    this.position = position
    this.primary = primary
    this.#options = options
    this.#done = keepConnected({
      connect: (signal) => this.#connect(signal),
      onConnected: (session) => this.#onConnected(session),
      onRetry: (error, delayMs) => options.onRetry(error, delayMs),
      isOver: (session, error) => options.isOver(session, error),
      renewsCredentials: options.renewsCredentials,
      backoff: options.backoff,
      network: options.network,
      signal: this.#stop.signal,
    }).catch((error: unknown) => options.onFatal(this, error))
  }

  get sessions(): ReadonlySet<ListenSession> {
    return this.#sessions
  }

  /** The newest session; undefined while there is none that is not being left. */
  get session(): ListenSession | undefined {
    const last = [...this.#sessions].at(-1)
    return last?.isLeft === false ? last : undefined
  }

  /** @inheritdoc */
  replace(session: ListenSession): void {
    const current = this.session
    if (current === undefined || this.#stop.signal.aborted) {
      session.destroy()
      return
    }
    this.#next = session
    this.target = session.url
    current.replaced()
  }

  /** Ends the link: open streams finish, until `signal` is aborted. */
  async close(options: CloseOptions = {}): Promise<void> {
    this.#stop.abort()
    this.#next?.destroy()
    await Promise.all([...this.#sessions].map((session) => session.close(options)))
    await this.#done
  }

  /** Ends the link now. */
  async destroy(): Promise<void> {
    this.#stop.abort()
    this.#next?.destroy()
    const sessions = [...this.#sessions]
    for (const session of sessions) session.destroy()
    await Promise.all([this.#done, ...sessions.map((session) => session.closed)])
  }

  async #connect(signal: AbortSignal): Promise<ListenSession> {
    const session = this.#next ?? (await this.#options.connect(this, signal))
    this.#next = undefined
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
