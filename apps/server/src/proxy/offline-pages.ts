/**
 * Pages of agents, each for its own endpoint, that browsers get while no agent serves it. In memory: an agent sends its
 * page again when it connects, and a server that starts anew has none until then.
 */
import { type Endpoint, endpointKey } from '@proj/tunnel/server'

/** Largest page, bytes; as those of the operator. */
export const MAX_OFFLINE_PAGE_BYTES = 65_536

/** All pages; the oldest make room. */
const MAX_PAGES = 1_000
const MAX_BYTES = 16 * 1024 * 1024

/** Errors that say that no agent is there. */
const OFFLINE = new Set(['no_upstream', 'not_here', 'endpoint_unknown'])

interface OfflinePage {
  readonly identity: string
  readonly page: string
  readonly bytes: number
}

/** The pages by endpoint. */
export class OfflinePages {
  readonly #pages = new Map<string, OfflinePage>()
  #bytes = 0

  /** Keeps the page of an endpoint, in place of the one before. */
  set(endpoint: Endpoint, identity: string, page: string): void {
    this.delete(endpoint)
    const bytes = Buffer.byteLength(page)
    this.#pages.set(endpointKey(endpoint), { identity, page, bytes })
    this.#bytes += bytes
    for (const [key, oldest] of this.#pages) {
      if (this.#pages.size <= MAX_PAGES && this.#bytes <= MAX_BYTES) return
      this.#pages.delete(key)
      this.#bytes -= oldest.bytes
    }
  }

  /** Drops the page of an endpoint: an agent serves it again, and gives another or none. */
  delete(endpoint: Endpoint): void {
    const key = endpointKey(endpoint)
    this.#bytes -= this.#pages.get(key)?.bytes ?? 0
    this.#pages.delete(key)
  }

  /**
   * The page for an error of an endpoint.
   *
   * @param ownerOf - the identity that the name is reserved for; the page of another one is not shown.
   */
  find(
    endpoint: Endpoint,
    code: string,
    ownerOf: (endpoint: Endpoint) => string | undefined,
  ): string | undefined {
    if (this.#pages.size === 0 || !OFFLINE.has(code)) return undefined
    const found = this.#pages.get(endpointKey(endpoint))
    if (found === undefined) return undefined
    const owner = ownerOf(endpoint)
    return owner === undefined || owner === found.identity ? found.page : undefined
  }
}
