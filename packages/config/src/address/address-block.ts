import { isIPv4 } from 'node:net'

import { refuser } from './split-address.ts'
import { canonicalIPv6 } from './host.ts'

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
  const refuse = refuser(text)
  const [, literal = text, prefixText] = /^([^/]*)\/(.*)$/.exec(text) ?? []
  const bare = /^\[(.*)\]$/.exec(literal)?.[1] ?? literal
  if (bare.includes('%')) refuse('a block has no interface', `write ${text.replace(/%[^/]*/, '')}`)
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
