import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

import { isLinkLocal } from '@proj/config/address'

import { type ReadRoutes, readSystemRoutes } from './system-routes.ts'

/** What has changed about the addresses and routes of this machine. */
export interface NetworkChange {
  /** Addresses that are no longer there, without zones. */
  readonly gone: ReadonlySet<string>
  /**
   * Whether there is an address or a route that was not there before. Link-local ones do not count: those of
   * containers come and go all the time.
   */
  readonly hasCome: boolean
}

/** Tells when the addresses or routes of this machine change. */
export interface NetworkChanges {
  /**
   * Calls `listener` for each change.
   *
   * @returns ends that.
   */
  subscribe(listener: (change: NetworkChange) => void): () => void
}

/** How often they are read, ms. */
export const NETWORK_INTERVAL_MS = 1_000

/** Reads the addresses of this machine. */
export type ReadInterfaces = () => NodeJS.Dict<readonly NetworkInterfaceInfo[]>

/**
 * Reads the addresses and routes of this machine once a second while there is a listener, with one timer for
 * all of them: no event of the system is the same on every platform. An interface whose link is down has no
 * address. Routes change without an address when a VPN or another uplink takes the traffic; they are read on
 * Linux only.
 */
export class NetworkWatch implements NetworkChanges {
  readonly #read: ReadInterfaces
  readonly #readRoutes: ReadRoutes
  readonly #listeners = new Set<(change: NetworkChange) => void>()
  #known: ReadonlySet<string> = new Set()
  #routes: ReadonlySet<string> | undefined
  #timer: NodeJS.Timeout | undefined

  /**
   * @param read - Default: `os.networkInterfaces`.
   * @param readRoutes - Default: the main routing table of Linux.
   */
  constructor(read: ReadInterfaces = networkInterfaces, readRoutes: ReadRoutes = readSystemRoutes) {
    this.#read = read
    this.#readRoutes = readRoutes
  }

  subscribe(listener: (change: NetworkChange) => void): () => void {
    // A function that subscribes twice is called twice.
    const own = (change: NetworkChange): void => listener(change)
    this.#listeners.add(own)
    if (this.#timer === undefined) {
      this.#known = this.#addresses() ?? new Set()
      this.#routes = this.#readRoutes()
      this.#timer = setInterval(() => this.#look(), NETWORK_INTERVAL_MS)
      this.#timer.unref() // what watches keeps the process alive, or does not want to
    }
    return () => {
      this.#listeners.delete(own)
      if (this.#listeners.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  #look(): void {
    const before = this.#known
    const now = this.#addresses()
    if (now === undefined) return
    this.#known = now
    const gone = new Set([...before].filter((address) => !now.has(address)))
    let hasCome = [...now].some((address) => !before.has(address) && !isLinkLocal(address))
    const routesBefore = this.#routes
    const routes = this.#readRoutes()
    this.#routes = routes
    let isRouteGone = false
    if (routesBefore !== undefined && routes !== undefined) {
      hasCome ||= [...routes].some((route) => !routesBefore.has(route))
      isRouteGone = [...routesBefore].some((route) => !routes.has(route))
    }
    if (gone.size === 0 && !hasCome && !isRouteGone) return
    for (const listener of this.#listeners) listener({ gone, hasCome })
  }

  /** Undefined while they cannot be read, as on a system that forbids it. */
  #addresses(): ReadonlySet<string> | undefined {
    try {
      const lists = Object.values(this.#read())
      return new Set(lists.flatMap((list) => list?.map(({ address }) => address) ?? []))
    } catch {
      return undefined
    }
  }
}

/** The addresses and routes of this machine. */
export const SYSTEM_NETWORK: NetworkChanges = new NetworkWatch()
