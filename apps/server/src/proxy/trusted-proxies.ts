import { countTrustedHops } from '@proj/auth'
import { type AddressBlock, AddressSet } from '@proj/config/address'
import type { RequestHead, TrustedHeader } from '@proj/http1'

/** Which proxies in front are believed. */
export interface TrustedProxiesOptions {
  /** How many there are, whatever their addresses. */
  readonly trustedHops: number
  /** Their addresses. */
  readonly trustedProxies: readonly AddressBlock[]
  /** What they write. */
  readonly trustedHeader: TrustedHeader
}

/** The proxies in front of the proxy port whose forwarding headers are believed, by their number or addresses. */
export class TrustedProxies {
  readonly #hops: number
  readonly #addresses: AddressSet | undefined
  readonly #header: TrustedHeader

  constructor({ trustedHops, trustedProxies, trustedHeader }: TrustedProxiesOptions) {
    this.#hops = trustedHops
    this.#addresses = trustedProxies.length === 0 ? undefined : new AddressSet(trustedProxies)
    this.#header = trustedHeader
  }

  /** Whether there are none. */
  get isEmpty(): boolean {
    return this.#hops === 0 && this.#addresses === undefined
  }

  /** Whether a peer is one of them. */
  has(peer: string): boolean {
    return this.#hops > 0 || this.#addresses?.hasPlain(peer) === true
  }

  /** How many of the last entries in the forwarding headers of a request are theirs; its peer is one of them. */
  hopsOf(head: RequestHead): number {
    const addresses = this.#addresses
    if (addresses === undefined) return this.#hops
    return countTrustedHops(head.headers, (one) => addresses.hasPlain(one), this.#header)
  }
}
