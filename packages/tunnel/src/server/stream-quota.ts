import type { TunnelLimit } from '../limits.ts'

/** Which limit a stream would exceed. */
export type ReachedQuota = 'source' | 'endpoint'

/** What is looked at of a session. */
interface Session {
  readonly maxStreams: number
  readonly openStreams: number
  readonly endpointCount: number
  streamsOf(endpoint: string): number
}

/** Who may have how many of an agent's streams. */
export interface StreamQuotaOptions {
  /**
   * Most connections of one source, an IPv4 address or a /64 of IPv6, in percent of the streams that the
   * sessions of an endpoint have, 1 to 100. A stream is refused only while so many are open. Default 25.
   */
  readonly maxSourceShare?: number
  /**
   * Most streams for one endpoint, in percent of what a session has, 1 to 100; for sessions with several
   * endpoints. Default 50.
   */
  readonly maxEndpointShare?: number
}

/** Default and range of every number of {@link StreamQuotaOptions}. */
export const STREAM_QUOTA_LIMITS: Readonly<Record<keyof StreamQuotaOptions, TunnelLimit>> =
  Object.freeze({
    maxSourceShare: { default: 25, min: 1, max: 100 },
    maxEndpointShare: { default: 50, min: 1, max: 100 },
  })

/**
 * Keeps one source and one endpoint from taking all streams of an agent. It is asked when a stream is opened,
 * which is not once per request; without crowding the answer takes two comparisons.
 */
export class StreamQuota {
  /** Streams that were not opened, by the limit that was reached. */
  readonly rejected: Record<ReachedQuota, number> = { source: 0, endpoint: 0 }
  /**
   * Connections of an address and all others of its source. Each carries one stream at most, so a source
   * with few connections has few streams.
   */
  connectionsOf: (remoteAddress: string) => number = () => 0
  readonly #source: number
  readonly #endpoint: number

  constructor(options: StreamQuotaOptions = {}) {
    const { maxSourceShare, maxEndpointShare } = STREAM_QUOTA_LIMITS
    this.#source = (options.maxSourceShare ?? maxSourceShare.default) / 100
    this.#endpoint = (options.maxEndpointShare ?? maxEndpointShare.default) / 100
  }

  /**
   * Whether a stream on `session` would be one too many.
   *
   * @param sessions - how many sessions serve the endpoint; called when it matters.
   * @param remoteAddress - undefined: not limited by source, as behind a trusted proxy.
   * @param held - streams that the visitor has on a connection of its own for many.
   * @param makeRoom - ends a stream of the session that no request uses, of the endpoint if one is given; false when
   *   there is none. Nobody is refused for the sake of idle streams.
   */
  reached(
    session: Session,
    endpoint: string,
    sessions: () => number,
    remoteAddress: string | undefined,
    held: number,
    makeRoom: (endpoint?: string) => boolean,
  ): ReachedQuota | undefined {
    const { maxStreams } = session
    while (
      session.streamsOf(endpoint) >= maxStreams * this.#endpoint &&
      this.#endpoint < 1 &&
      session.endpointCount > 1
    ) {
      if (!makeRoom(endpoint)) return this.#count('endpoint')
    }
    const share = maxStreams * this.#source
    if (session.openStreams < share || this.#source === 1 || remoteAddress === undefined) {
      return undefined
    }
    const isOver = Math.max(held, this.connectionsOf(remoteAddress)) > share * sessions()
    if (!isOver) return undefined
    while (session.openStreams >= share) if (!makeRoom()) return this.#count('source')
    return undefined
  }

  #count(limit: ReachedQuota): ReachedQuota {
    this.rejected[limit] += 1
    return limit
  }
}
