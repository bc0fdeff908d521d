// Who may connect. Deny beats allow; an allow list that is present admits nobody else.
import { BlockList } from 'node:net'

import { parseAddressBlock } from '@proj/config/address'

import type { Peer } from './peer.ts'

/** Addresses and networks, such as `192.0.2.1`, `10.0.0.0/8`, `fd00::/8`. */
export interface AccessListOptions {
  /** Who may connect; absent: everybody. An empty list admits nobody. */
  readonly allow?: readonly string[] | undefined
  /** Who may not connect, also when allowed. @default [] */
  readonly deny?: readonly string[] | undefined
}

/** Tells whether a peer may connect. */
export type AccessList = (peer: Pick<Peer, 'address' | 'family'>) => boolean

/**
 * Builds the check for an allow list and a deny list.
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID for an entry that is neither an address nor a network.
 */
export function createAccessList(options: AccessListOptions): AccessList {
  const allow = options.allow === undefined ? undefined : toBlockList(options.allow)
  const deny = toBlockList(options.deny ?? [])
  return ({ address, family }) =>
    !deny.check(address, family) && (allow === undefined || allow.check(address, family))
}

function toBlockList(entries: readonly string[]): BlockList {
  const list = new BlockList()
  for (const entry of entries) {
    const { address, prefix, family } = parseAddressBlock(entry)
    list.addSubnet(address, prefix, family)
  }
  return list
}
