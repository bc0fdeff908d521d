import type { RuleProblem } from '@proj/config'
import {
  formatListenAddress,
  type ListenAddress,
  listenAddressesOverlap,
} from '@proj/config/address'

/** Addresses of one setting. */
export interface Binds {
  /** Key of the setting. */
  readonly key: string
  /** Value of the setting. */
  readonly addresses: readonly ListenAddress[]
}

/**
 * A rule for `defineSettings`: no two addresses may need the same socket. Found here it is a mistake
 * with a line and a column; found at the bind it would be a port taken by the program itself.
 */
export function* overlappingBinds(settings: readonly Binds[]): Generator<RuleProblem> {
  const seen = new Map<string, { key: string; address: ListenAddress }[]>()
  for (const { key, addresses } of settings) {
    let said = false
    for (const address of addresses) {
      const place = placeOf(address)
      const others = seen.get(place) ?? []
      seen.set(place, [...others, { key, address }])
      const other = others.find((one) => listenAddressesOverlap(one.address, address))
      if (other === undefined || said) continue
      said = true
      const [mine, theirs] = [address, other.address].map(formatListenAddress)
      const whose = other.key === key ? '' : ` of ${other.key}`
      const message = `${mine} needs the same socket as ${theirs}${whose}`
      yield { key, message, hint: 'give one of the two another port or address' }
    }
  }
}

/** What overlapping addresses have in common; it keeps a thousand of them from a million looks. */
function placeOf(address: ListenAddress): string {
  return address.kind === 'tcp' ? String(address.port) : address.kind
}
