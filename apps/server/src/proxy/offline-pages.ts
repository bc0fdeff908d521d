/**
 * Pages of agents, each for its own endpoint, that browsers get while no agent serves it. In memory: an agent sends its
 * page again when it connects, and a server that starts anew has none until then.
 */
import { type Endpoint, endpointKey } from '@proj/tunnel/server'

/** Largest page, bytes; as those of the operator. */
export const MAX_OFFLINE_PAGE_BYTES = 65_536

/** All pages. Beyond it the identity with most bytes loses its oldest page: none can use up the room of the others. */
const MAX_BYTES = 16 * 1024 * 1024

/** What a page counts at least, bytes: there are at most 1000. */
const MIN_PAGE_BYTES = Math.floor(MAX_BYTES / 1_000)

/** Errors that say that no agent is there. */
const OFFLINE = new Set(['no_upstream', 'not_here', 'endpoint_unknown'])

interface OfflinePage {
  readonly identity: string
  /** The identity with its tenant. */
  readonly owner: string
  readonly page: string
  readonly bytes: number
}

/** The pages by endpoint. */
export class OfflinePages {
  readonly #pages = new Map<string, OfflinePage>()
  /** Bytes by owner. */
  readonly #owners = new Map<string, number>()
  #bytes = 0

  /** Keeps the page of an endpoint, in place of the one before. */
  set(endpoint: Endpoint, identity: string, page: string): void {
    this.delete(endpoint)
    const bytes = Math.max(MIN_PAGE_BYTES, Buffer.byteLength(page))
    const owner = JSON.stringify([endpoint.tenant, identity])
    this.#pages.set(endpointKey(endpoint), { identity, owner, page, bytes })
    this.#count(owner, bytes)
    while (this.#bytes > MAX_BYTES) this.#makeRoom()
  }

  /** Drops the page of an endpoint: an agent serves it again, and gives another or none. */
  delete(endpoint: Endpoint): void {
    this.#delete(endpointKey(endpoint))
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

  #makeRoom(): void {
    let [largest, most] = ['', 0]
    for (const [owner, bytes] of this.#owners) if (bytes > most) [largest, most] = [owner, bytes]
    for (const [key, { owner }] of this.#pages) if (owner === largest) return this.#delete(key)
  }

  #delete(key: string): void {
    const found = this.#pages.get(key)
    if (found === undefined) return
    this.#pages.delete(key)
    this.#count(found.owner, -found.bytes)
  }

  #count(owner: string, bytes: number): void {
    this.#bytes += bytes
    const left = (this.#owners.get(owner) ?? 0) + bytes
    if (left > 0) this.#owners.set(owner, left)
    else this.#owners.delete(owner)
  }
}
