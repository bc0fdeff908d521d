import { type Endpoint, endpointKey, type UpstreamRegistry } from '@proj/tunnel/server'
import type { ReturnedEndpoints } from '@proj/program-kit'
import type { Logger } from '@proj/tunnel'

import type { Limit } from '../limits.ts'
import type { ServedEndpoints } from '../store/served-endpoints.ts'

/** How long and for how many endpoints a server that starts is not ready. */
export interface ReadyOptions {
  /** Share of the endpoints from before the start that must be back, percent, 0 to 100. Default: 0. */
  readonly endpoints?: number | undefined
  /** Longest time from the start until it is ready all the same, ms, 0 to 1 h. Default 1 min. */
  readonly timeoutMs?: number
}

/** Default and range of that time. */
export const READY_TIMEOUT: Limit = { default: 60_000, min: 0, max: 3_600_000 }

/** What the wait for endpoints needs. */
export interface ReturningOptions extends ReadyOptions {
  /** Whether an endpoint that another process of this server serves is back. Default false. */
  readonly countsRemote?: boolean
  /** Endpoints that had agents when the process before ended. */
  readonly before: readonly Endpoint[]
  /** The endpoints of this process. */
  readonly registry: UpstreamRegistry
  /** Where they are noted for the next process. */
  readonly served: ServedEndpoints
  /** Told when the wait begins and ends. */
  readonly logger: Logger
}

/**
 * The endpoints that had agents before this process started: how many are back, and whether that is enough
 * for `/ready`. Once it is, it stays so. Notes the endpoints of this process for the next one.
 */
export class ReturningEndpoints implements Disposable {
  readonly #missing: Map<string, Endpoint>
  readonly #served: ServedEndpoints
  readonly #logger: Logger
  readonly #before: number
  readonly #needed: number
  readonly #timer: NodeJS.Timeout
  #isEnough: boolean
  #isStopped = false

  constructor(options: ReturningOptions) {
    const { before, registry, served, logger } = options
    const { endpoints: share = 0, timeoutMs = READY_TIMEOUT.default } = options
    this.#missing = new Map(before.map((endpoint) => [endpointKey(endpoint), endpoint]))
    this.#before = this.#missing.size
    this.#needed = Math.ceil((this.#before * share) / 100)
    this.#isEnough = this.#needed === 0
    this.#served = served
    this.#logger = logger
    if (!this.#isEnough) {
      const { before: known, needed } = this.counts
      logger.info({ before: known, needed, timeoutMs }, 'not ready until endpoints are back')
    }
    registry.on('endpoint', (endpoint, isPresent) => this.#changed(endpoint, isPresent))
    if (options.countsRemote === true) {
      registry.on('remote', (endpoint) => {
        if (!this.#isStopped && registry.count(endpoint) > 0) this.#isBack(endpoint)
      })
    }
    this.#timer = setTimeout(() => this.#giveUp(), timeoutMs)
    this.#timer.unref()
  }

  /** Whether enough endpoints are back. */
  get isEnough(): boolean {
    return this.#isEnough
  }

  /** How many were there before, are back, and have to be. */
  get counts(): ReturnedEndpoints {
    const before = this.#before
    return { before, back: before - this.#missing.size, needed: this.#needed }
  }

  /** This process ends, and its agents leave it: what it serves now is what the next process waits for. */
  [Symbol.dispose](): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #changed(endpoint: Endpoint, isPresent: boolean): void {
    if (this.#isStopped) return
    this.#served.set(endpoint, isPresent)
    if (isPresent) this.#isBack(endpoint)
  }

  #isBack(endpoint: Endpoint): void {
    if (!this.#missing.delete(endpointKey(endpoint)) || this.#isEnough) return
    const { before, back } = this.counts
    if (back < this.#needed) return
    this.#isEnough = true
    this.#logger.info({ before, back }, 'ready: enough endpoints are back')
  }

  /** What is still missing is no longer expected, here and by the next process. */
  #giveUp(): void {
    for (const endpoint of this.#missing.values()) this.#served.set(endpoint, false)
    if (this.#isEnough) return
    this.#isEnough = true
    const { before, back, needed } = this.counts
    this.#logger.warn(
      { before, back, needed },
      'ready, though fewer endpoints are back than ready.endpoints asks for: ready.timeout is over',
    )
  }
}
