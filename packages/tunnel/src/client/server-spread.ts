import { isDialError } from '@proj/dialer'

import type { Logger } from '../logger.ts'
import type { ServerList } from './server-list.ts'
import { MAX_TIMER_MS } from '../limits.ts'
import { serverName } from './server-list.ts'

/** Attempts at the first interval; after that it doubles. */
export const FAST_TRIES = 4

/** Longest interval between attempts, in first intervals: 10 min with the default. */
export const MAX_INTERVALS = 120

/** A session as its spreading sees it. */
export interface SpreadSession {
  /** Base URL it was dialed by. */
  readonly url: string
  /** Id the server has told; undefined until then, and always from a Piko server. */
  readonly serverId: string | undefined
  /** Resolves with that id, or with undefined when the session ends first or has none. */
  readonly greeted: Promise<string | undefined>
  /** Whether a new session is being made in its place. */
  readonly isLeft: boolean
  destroy(): void
}

/** A kept connection whose session can be exchanged for another one. */
export interface SpreadLink<S extends SpreadSession> {
  /** The session that is used now. */
  readonly session: S | undefined
  /** Uses another session; the old one ends in good order as soon as the new one serves. */
  replace(session: S): void
}

/** What the spreading of connections needs. */
export interface ServerSpreadOptions<S extends SpreadSession> {
  /** The servers there are. */
  readonly servers: ServerList
  /** The connections to spread. */
  readonly links: () => Iterable<SpreadLink<S>>
  /** Makes a session with a server, on which nothing is registered yet. */
  readonly connect: (link: SpreadLink<S>, url: string, signal: AbortSignal) => Promise<S>
  /** Time between the first attempts, ms; Infinity: none is made. */
  readonly intervalMs: number
  /** Told of every connection that moves. */
  readonly logger: Logger
  /** Jitter, 0 to 1. Default: `Math.random`. */
  readonly random?: () => number
}

/**
 * Spreads the connections of one peer over distinct servers. While several of them have the same server, one
 * at a time makes a new session: to a server of the list that has fewer, or by the same URL, behind which a
 * balancer may have another server. When that is so, the session takes the place of the old one; otherwise it
 * is closed. The interval grows, so that a server that is alone sees few of these attempts; it is
 * short again after a session was lost, and stays short while a server of the list cannot be reached: load
 * balancers send visitors to that server as soon as it listens again.
 */
export class ServerSpread<S extends SpreadSession> {
  readonly #options: ServerSpreadOptions<S>
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #tries = 0
  #isTrying = false
  /** Number of all attempts, never set back: several servers are tried in turn. */
  #turn = 0

  constructor(options: ServerSpreadOptions<S>) {
    this.#options = options
  }

  /** Servers and numbers of connections may have changed. */
  update(): void {
    if (this.#stop.signal.aborted || this.#isTrying) return
    if (this.#crowded() === undefined) {
      clearTimeout(this.#timer)
      this.#timer = undefined
      this.#tries = 0
      return
    }
    const { intervalMs, random = Math.random } = this.#options
    if (this.#timer !== undefined || intervalMs === Infinity) return
    const doublings = Math.max(0, this.#tries - FAST_TRIES + 1)
    const waitMs = intervalMs * Math.min(2 ** doublings, MAX_INTERVALS) * (0.5 + random() / 2)
    this.#timer = setTimeout(() => void this.#try(), Math.min(waitMs, MAX_TIMER_MS))
    this.#timer.unref() // the connections keep the process alive
  }

  /** A session was lost: its server may come back soon. */
  lost(): void {
    this.#tries = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.update()
  }

  /** Ends the attempts. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#stop.abort(new Error('the connections are not spread any more'))
  }

  async #try(): Promise<void> {
    const { connect, servers, logger } = this.#options
    const { signal } = this.#stop
    this.#timer = undefined
    const link = this.#crowded()
    const url = this.#nextUrl()
    this.#tries += 1
    this.#turn += 1
    if (link === undefined || url === undefined) return
    this.#isTrying = true
    let made: S | undefined
    try {
      made = await connect(link, url, signal)
      await made.greeted
      if (this.#isBetter(link, made)) {
        logger.info(
          { server: serverName(url), serverId: made.serverId },
          'a connection moves to a server that has fewer of them',
        )
        link.replace(made)
        made = undefined
      }
    } catch (error) {
      servers.failed(url, error)
      // A server of the list that is away: it is looked for as often as before.
      if (isDialError(error) && error.retry === 'yes' && !this.#isUsed(url)) this.#tries = 0
      logger.debug({ err: error, server: serverName(url) }, 'no other server was found')
    } finally {
      made?.destroy()
      this.#isTrying = false
    }
    this.update()
  }

  /** The last connection of the server that has most, if that has several. */
  #crowded(): SpreadLink<S> | undefined {
    const loads = this.#loads()
    let found: SpreadLink<S> | undefined
    let most = 2
    for (const link of this.#options.links()) {
      const load = loads.get(link.session?.serverId ?? '') ?? 0
      if (load < most) continue
      most = load
      found = link
    }
    return found
  }

  #isBetter(link: SpreadLink<S>, made: S): boolean {
    const { session } = link
    if (made.serverId === undefined || made.isLeft || this.#stop.signal.aborted) return false
    if (session?.serverId === undefined || session.isLeft) return false
    const loads = this.#loads()
    return (loads.get(made.serverId) ?? 0) + 1 < (loads.get(session.serverId) ?? 0)
  }

  /** How many connections each server has, by its id. */
  #loads(): Map<string, number> {
    const loads = new Map<string, number>()
    for (const { session } of this.#options.links()) {
      if (session?.serverId === undefined || session.isLeft) continue
      loads.set(session.serverId, (loads.get(session.serverId) ?? 0) + 1)
    }
    return loads
  }

  #isUsed(url: string): boolean {
    return [...this.#options.links()].some(({ session }) => session?.url === url)
  }

  /** Of the URLs with the fewest connections, one after the other. */
  #nextUrl(): string | undefined {
    const { servers, links } = this.#options
    const all = [...links()]
    const uses = (url: string): number => all.filter(({ session }) => session?.url === url).length
    const order = servers.order(0, uses)
    const least = order.filter((url) => uses(url) === uses(order[0] ?? ''))
    return least[this.#turn % least.length]
  }
}
