import { isTunnelError, TunnelError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { underSignals } from '../abortable.ts'
import { isRetryable } from './keep-connected.ts'
import { serverUrls } from './server-options.ts'

/**
 * Time a server has to answer while there are others to try, ms. The last one of a round has as long as
 * `connect.timeouts` says, so that a slow line is no obstacle.
 */
export const TURN_MS = 5_000

/** A connection with a server. */
export interface ServerConnection {
  /** Base URL it was dialed by. */
  readonly url: string
  /** Id that the server has given itself for as long as it runs; undefined from a Piko server. */
  readonly serverId: string | undefined
}

/** What a list of servers needs to know of its user. */
export interface ServerListOptions {
  /** One URL, or several. */
  readonly url: string | readonly string[]
  /** Whether each attempt may show other credentials: then no rejection is final. */
  readonly renewsCredentials: boolean
  /** Told of a server that is left out. */
  readonly logger: Logger
}

/**
 * The servers of an agent or consumer: the order in which a connection tries them, and which of them have
 * rejected this peer and are not tried again. With one server every error is its own, and it is never left out.
 */
export class ServerList {
  /** Base URLs, each once. */
  readonly urls: readonly string[]
  readonly #options: ServerListOptions
  /** Agents with the same list begin at different servers. */
  readonly #offset: number
  readonly #refused = new Map<string, Error>()
  /** Servers that have accepted this peer before: no rejection of theirs is final. */
  readonly #known = new Set<string>()

  /**
   * @param random - 0 to 1, decides where the list begins.
   * @throws {TypeError} for a URL that cannot be used, none, or too many.
   */
  constructor(options: ServerListOptions, random: number = Math.random()) {
    this.urls = serverUrls(options.url)
    this.#options = options
    this.#offset = Math.floor(random * this.urls.length)
  }

  /** Servers that have rejected this peer, with the reason; they are not tried again. */
  get refused(): ReadonlyMap<string, Error> {
    return this.#refused
  }

  /** Whether any server is left that has not rejected this peer. */
  get hasUsable(): boolean {
    return this.#refused.size < this.urls.length
  }

  /**
   * The servers that may be tried, in order: those that fewer other connections use come first. When every
   * server has rejected this peer, all of them are tried again.
   *
   * @param position - of the connection among those of this peer; connections begin at different servers.
   * @param uses - how many other connections a server has.
   */
  order(position: number, uses: (url: string) => number): string[] {
    const { urls } = this
    const turned = urls.map((_, at) => urls[(at + position + this.#offset) % urls.length] as string)
    // `sort` is stable: equals stay in the order of the list.
    const usable = turned.filter((url) => !this.#refused.has(url))
    return (usable.length > 0 ? usable : turned).toSorted((a, b) => uses(a) - uses(b))
  }

  /**
   * Makes one round: tries the servers one after the other until one accepts.
   *
   * @param order - see `order`.
   * @throws the only server's error; with several the rejection when all of them are final, else
   *   {TunnelError} TUNNEL_SERVERS_FAILED with the reason of each.
   */
  async connect<T>(
    order: readonly string[],
    attempt: (url: string, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const [only] = this.urls
    if (this.urls.length === 1 && only !== undefined) return await attempt(only, signal)
    const failures: { readonly url: string; readonly error: unknown }[] = []
    for (const [index, url] of order.entries()) {
      try {
        const isLast = index === order.length - 1
        const made = await (isLast ? attempt(url, signal) : inTurn(url, attempt, signal))
        this.#known.add(url)
        return made
      } catch (error) {
        signal.throwIfAborted()
        this.failed(url, error)
        failures.push({ url, error })
      }
    }
    throw failureOf(failures)
  }

  /** An attempt failed: notes a rejection that is final. */
  failed(url: string, error: unknown): void {
    const isEndpoints = isTunnelError(error) && error.isOfEndpoint
    if (isRetryable(error) || isEndpoints || this.#options.renewsCredentials) return
    if (error instanceof Error && !this.#known.has(url)) this.refuse(url, error)
  }

  /** A server has rejected this peer; it is not tried again. One server alone is not left out. */
  refuse(url: string, error: Error): void {
    if (this.urls.length === 1 || this.#refused.has(url)) return
    this.#refused.set(url, error)
    if (!this.hasUsable) return
    this.#options.logger.warn(
      { server: serverName(url), err: error },
      'this server rejects the credentials and is not tried again; the other servers are used',
    )
  }
}

/** A server's URL for people: without query and fragment. */
export function serverName(url: string): string {
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`
}

/** An attempt that ends after TURN_MS. */
async function inTurn<T>(
  url: string,
  attempt: (url: string, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const turn = new AbortController()
  const timer = setTimeout(() => turn.abort(new Error(`no answer within ${TURN_MS} ms`)), TURN_MS)
  try {
    return await underSignals([signal, turn.signal], (either) => attempt(url, either))
  } catch (error) {
    throw turn.signal.aborted && !signal.aborted ? turn.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

function failureOf(
  failures: readonly { readonly url: string; readonly error: unknown }[],
): unknown {
  const all = failures.map(({ error }) => error)
  if (all.every((error) => !isRetryable(error))) return all[0]
  const reasons = failures.map(({ url, error }) => `${serverName(url)}: ${textOf(error)}`)
  return new TunnelError('TUNNEL_SERVERS_FAILED', `no server accepts: ${reasons.join('; ')}`, {
    cause: new AggregateError(all),
  })
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
