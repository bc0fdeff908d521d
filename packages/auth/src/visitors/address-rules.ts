import { BlockList, isIP } from 'node:net'

import { parseAddressBlock } from '@proj/config'

/**
 * Who may come, by address. Deny beats allow; an allow list that is present admits nobody else. What is
 * no address is admitted by no rule.
 */
export class AddressRules {
  readonly #allow: BlockList | undefined
  readonly #deny: BlockList

  /**
   * @param allow - addresses and blocks; undefined admits everybody, an empty list nobody.
   * @throws {ConfigError} CONFIG_ADDRESS_INVALID for what is neither an address nor a block.
   */
  constructor(allow: readonly string[] | undefined, deny: readonly string[]) {
    this.#allow = allow === undefined ? undefined : toBlockList(allow)
    this.#deny = toBlockList(deny)
  }

  /** Whether somebody at this address may come. */
  admits(address: string | undefined): boolean {
    if (address === undefined) return false
    const plain = plainAddress(address)
    const version = isIP(plain)
    if (version === 0) return false
    const family = version === 4 ? 'ipv4' : 'ipv6'
    if (this.#deny.check(plain, family)) return false
    return this.#allow === undefined || this.#allow.check(plain, family)
  }
}

/**
 * An address without what proxies and sockets add to it: a port, brackets, a zone, the v6 form of an
 * IPv4 address. Rules that see two spellings of one address would miss one of them.
 */
export function plainAddress(text: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1]
  const unported = bracketed ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text
  const [bare = ''] = unported.split('%', 1)
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1]
  if (mapped !== undefined) return mapped
  const hex = /^(?:0{0,4}:){2,5}ffff:([\da-f]{1,4}):([\da-f]{1,4})$/i.exec(bare)
  if (hex === null || isIP(bare) === 0) return bare
  const high = Number.parseInt(hex[1] ?? '', 16)
  const low = Number.parseInt(hex[2] ?? '', 16)
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

function toBlockList(entries: readonly string[]): BlockList {
  const blocks = new BlockList()
  for (const entry of entries) {
    const { address, prefix, family } = parseAddressBlock(entry)
    blocks.addSubnet(address, prefix, family)
  }
  return blocks
}
