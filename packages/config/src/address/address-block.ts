import { BlockList, isIPv4 } from 'node:net'

import { refuser, withUsefulHint } from './split-address.ts'
import { canonicalIPv6 } from './host.ts'
import { plainAddress } from './ip-address.ts'

/** A block of addresses, as `net.BlockList.addSubnet` takes it. */
export interface AddressBlock {
  /** Canonical IP literal, no zone. */
  readonly address: string
  /** Length of the fixed prefix: 0 to 32 for IPv4, 0 to 128 for IPv6. */
  readonly prefix: number
  /** Family of `address`. */
  readonly family: 'ipv4' | 'ipv6'
}

/**
 * Reads an address or a block, `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`. Brackets are not needed,
 * because no port can follow.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID, also for zones, which say nothing about a peer
 */
export function parseAddressBlock(text: string): AddressBlock {
  return withUsefulHint(text, readAddressBlock)
}

function readAddressBlock(text: string): AddressBlock {
  const refuse = refuser(text)
  const [, literal = text, prefixText] = /^([^/]*)\/(.*)$/.exec(text) ?? []
  const bare = /^\[(.*)\]$/.exec(literal)?.[1] ?? literal
  if (bare.includes('%')) refuse('a block has no interface', { write: text.replace(/%[^/]*/, '') })
  if (!isIPv4(bare) && !bare.includes(':')) {
    refuse('it is not an IP address or block', 'write 10.0.0.0/8 or 2001:db8::/32')
  }
  const address = isIPv4(bare) ? bare : canonicalIPv6(bare, refuse)
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  const bits = family === 'ipv4' ? 32 : 128
  if (prefixText === undefined) return { address, prefix: bits, family }
  if (!/^(0|[1-9][0-9]{0,2})$/.test(prefixText) || Number(prefixText) > bits) {
    refuse(`the prefix length is not a number from 0 to ${bits}`)
  }
  return { address, prefix: Number(prefixText), family }
}

/** Writes a block so that {@link parseAddressBlock} gives the same one back. */
export function formatAddressBlock(block: AddressBlock): string {
  const bits = block.family === 'ipv4' ? 32 : 128
  return block.prefix === bits ? block.address : `${block.address}/${block.prefix}`
}

/** Addresses and blocks of addresses. */
export class AddressSet {
  readonly #blocks = new BlockList()

  /**
   * @param entries - addresses and blocks, as texts or parsed
   * @throws {ConfigError} CONFIG_ADDRESS_INVALID for a text that is neither
   */
  constructor(entries: Iterable<string | AddressBlock>) {
    for (const entry of entries) {
      const block = typeof entry === 'string' ? parseAddressBlock(entry) : entry
      this.#blocks.addSubnet(block.address, block.prefix, block.family)
    }
  }

  /** Tells whether an address, in any spelling of {@link plainAddress}, is in the set. */
  has(address: string): boolean {
    const plain = plainAddress(address)
    return plain !== undefined && this.hasPlain(plain)
  }

  /** The same for an address that {@link plainAddress} returned. */
  hasPlain(address: string): boolean {
    return this.#blocks.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
  }
}

/** What an {@link AddressList} is made of. */
export interface AddressListOptions {
  /** Addresses that are admitted; undefined: all. An empty list admits none. */
  readonly allow?: Iterable<string | AddressBlock> | undefined
  /** Addresses that are denied, even when allowed. @default [] */
  readonly deny?: Iterable<string | AddressBlock> | undefined
}

/** An allow list and a deny list. Deny wins; without an allow list all other addresses are admitted. */
export class AddressList {
  readonly #allow: AddressSet | undefined
  readonly #deny: AddressSet

  /** @throws {ConfigError} CONFIG_ADDRESS_INVALID for a text that is neither an address nor a block */
  constructor({ allow, deny = [] }: AddressListOptions) {
    this.#allow = allow === undefined ? undefined : new AddressSet(allow)
    this.#deny = new AddressSet(deny)
  }

  /** Tells whether an address is admitted; what is no address never is. */
  admits(address: string | undefined): boolean {
    const plain = address === undefined ? undefined : plainAddress(address)
    if (plain === undefined || this.#deny.hasPlain(plain)) return false
    return this.#allow === undefined || this.#allow.hasPlain(plain)
  }
}
