import {
  formatListenAddress,
  type ListenAddress,
  listenAddressesOverlap,
  type RuleProblem,
} from '@proj/config'

/** Addresses of one setting. */
export interface Binds {
  /** Key of the setting. */
  readonly key: string
  /** What it says. */
  readonly addresses: readonly ListenAddress[]
}

/**
 * A rule for `defineSettings`: no two settings may need the same socket. Found here it is a mistake
 * with a line and a column; found at the bind it would be a port taken by the program itself.
 */
export function* overlappingBinds(settings: readonly Binds[]): Generator<RuleProblem> {
  const seen = new Map<string, { key: string; address: ListenAddress }[]>()
  for (const { key, addresses } of settings) {
    const own = addresses.map((address) => ({ key, address }))
    for (const { address } of own) {
      const other = seen
        .get(placeOf(address))
        ?.find((one) => listenAddressesOverlap(one.address, address))
      if (other === undefined) continue
      const [mine, theirs] = [address, other.address].map(formatListenAddress)
      const message = `${mine} needs the same socket as ${theirs} of ${other.key}`
      yield { key, message, hint: 'give one of the two another port or address' }
      break
    }
    for (const one of own) {
      const place = placeOf(one.address)
      seen.set(place, [...(seen.get(place) ?? []), one])
    }
  }
}

/** What overlapping addresses have in common; it keeps a thousand of them from a million looks. */
function placeOf(address: ListenAddress): string {
  return address.kind === 'tcp' ? String(address.port) : address.kind
}
