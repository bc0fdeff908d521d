import type { Logger } from '../logger.ts'
import type { Departure } from './keep-connected.ts'
import { serverName } from './server-list.ts'

/** A session, as far as its server is concerned. */
export interface PresentSession {
  /** Base URL of the server. */
  readonly url: string
  /** Id the server has told; undefined until then. */
  readonly serverId: string | undefined
  /** Resolves when it is not used for new streams any more. */
  readonly left: Promise<Departure>
}

/**
 * Logs which of several servers of a list leaves, and when it is back. What happens with one server alone, or
 * when none is left, is for `RetryLog` to say.
 */
export class ServerPresence {
  readonly #logger: Logger
  /** Sessions in use, by URL of the server; there are at most as many keys as URLs. */
  readonly #sessions = new Map<string, Set<PresentSession>>()
  /** Since when a server that was there is away, a time of `performance.now`. */
  readonly #awaySince = new Map<string, number>()
  #isStopped = false

  /** @param urls - of the servers. With one, nothing is logged. */
  constructor(urls: readonly string[], logger: Logger) {
    this.#logger = logger
    this.#isStopped = urls.length < 2
  }

  /** A session is used from now on, until it is left. */
  connected(session: PresentSession): void {
    if (this.#isStopped) return
    const { url } = session
    const sessions = this.#sessions.get(url) ?? new Set()
    this.#sessions.set(url, sessions.add(session))
    const sinceMs = this.#awaySince.get(url)
    if (sinceMs !== undefined) {
      this.#awaySince.delete(url)
      const awayMs = Math.round(performance.now() - sinceMs)
      this.#logger.info({ server: serverName(url), awayMs }, 'a server is back')
    }
    void session.left.then((departure) => this.#left(session, departure))
  }

  /** This side ends: sessions that it leaves say nothing about servers. */
  stop(): void {
    this.#isStopped = true
  }

  #left(session: PresentSession, { error, retryAfterMs, isReplaced }: Departure): void {
    const { url, serverId } = session
    const sessions = this.#sessions.get(url)
    if (sessions?.delete(session) !== true || sessions.size > 0) return
    this.#sessions.delete(url)
    if (this.#isStopped || isReplaced === true) return
    this.#awaySince.set(url, performance.now())
    const fields = { server: serverName(url), serverId, others: this.#sessions.size }
    // Only a server that stops says when to come back.
    if (retryAfterMs !== undefined) this.#logger.warn(fields, 'a server leaves: it is stopping')
    else this.#logger.warn({ ...fields, err: error }, 'a server is lost')
  }
}
