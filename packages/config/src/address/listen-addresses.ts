import { refuser } from './split-address.ts'
import { type ListenAddress, parseListenAddress } from './listen-address.ts'

/** Most addresses one setting may list. */
const MAX_ADDRESSES = 64

/**
 * Reads one or several addresses separated by commas.
 *
 * When 0.0.0.0 and [::] are listed with one port, [::] becomes IPv6 alone: both sockets could not
 * exist otherwise.
 *
 * @throws {ConfigError} CONFIG_ADDRESS_INVALID for the first entry that is wrong
 */
export function parseListenAddresses(text: string): readonly ListenAddress[] {
  const entries = text.split(',').map((entry) => entry.trim())
  if (entries.length > MAX_ADDRESSES) {
    refuser(text)(`${entries.length} addresses are listed, at most ${MAX_ADDRESSES} are allowed`)
  }
  return separateFamilies(entries.map(parseListenAddress))
}

/** Makes [::] IPv6 alone where 0.0.0.0 is listed with the same port; returns a new list. */
export function separateFamilies(addresses: readonly ListenAddress[]): readonly ListenAddress[] {
  const ports = new Set(
    addresses.flatMap((one) => (one.kind === 'tcp' && one.host === '0.0.0.0' ? [one.port] : [])),
  )
  return addresses.map((one) =>
    one.kind === 'tcp' && one.host === '::' && ports.has(one.port)
      ? { ...one, family: 'ipv6' }
      : one,
  )
}
