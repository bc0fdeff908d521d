import { isLoopback } from '@proj/config/address'
import type { BoundAddress, Listeners } from '@proj/portcheck'

type Phase = 'starting' | 'ready' | 'stopping'

/**
 * The phase of a server, and what is known only after its ports are bound. Until then there are no
 * URLs, and public ports would be opened on loopback.
 */
export class ServerState {
  #phase: Phase = 'starting'
  #proxy: Listeners | undefined
  #upstream: Listeners | undefined
  #admin: Listeners | undefined

  /** Whether it takes visitors and agents. */
  get phase(): Phase {
    return this.#phase
  }

  /** Makes the bound ports known; the server is ready from now on. */
  publish({
    proxy,
    upstream,
    admin,
  }: Readonly<Record<'proxy' | 'upstream' | 'admin', Listeners>>): void {
    this.#proxy = proxy
    this.#upstream = upstream
    this.#admin = admin
    if (this.#phase === 'starting') this.#phase = 'ready'
  }

  /** The server is not ready any more. */
  stop(): void {
    this.#phase = 'stopping'
  }

  /** Connections that the system could not hand over, by port. */
  get failedAccepts(): Readonly<Record<'proxy' | 'upstream' | 'admin', number>> {
    return {
      proxy: this.#proxy?.stats().failedAccepts ?? 0,
      upstream: this.#upstream?.stats().failedAccepts ?? 0,
      admin: this.#admin?.stats().failedAccepts ?? 0,
    }
  }

  /** Port that visitors connect to; undefined until it is bound. */
  get proxyPort(): number | undefined {
    return this.#bound[0]?.port
  }

  /** Hosts of public ports that are not configured: as open as the proxy port. */
  get publicPortHosts(): readonly string[] {
    return this.isReachable('proxy') ? ['*'] : ['localhost']
  }

  /** Whether another machine can connect to a port. */
  isReachable(port: 'proxy' | 'upstream'): boolean {
    const listeners = port === 'proxy' ? this.#proxy : this.#upstream
    return listeners?.bound.some(isReachable) ?? false
  }

  get #bound(): readonly BoundAddress[] {
    return this.#proxy?.bound ?? []
  }
}

/** Whether an address can be reached from another machine. */
function isReachable({ endpoints }: BoundAddress): boolean {
  return endpoints.some(({ host }) => !isLoopback(host))
}
