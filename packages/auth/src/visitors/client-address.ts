import { plainAddress } from '@proj/config/address'
import { forwardedElements, listItems, type TrustedHeader } from '@proj/http1'

/**
 * The address of a visitor, by the rule of X-Forwarded-For: trusted proxies wrote the last `trustedHops` of
 * its entries, and the first of those is the client. The entries before cannot be trusted; without trusted
 * proxies the client is the peer of the connection.
 *
 * @param headers - name, value, name, value
 * @param peer - address of the connection's other end
 * @param trustedHeader - what the proxies write. Default `x-forwarded-for`.
 * @returns the address in its one spelling, or undefined when a proxy wrote something else, or the visitor something
 *   that hides what a proxy wrote: its address would be that of the proxy otherwise.
 */
export function clientAddress(
  headers: readonly string[],
  peer: string,
  trustedHops: number,
  trustedHeader: TrustedHeader = 'x-forwarded-for',
): string | undefined {
  if (trustedHops === 0) return peer
  const entries = proxyEntries(headers, trustedHeader)
  if (entries === undefined) return undefined
  return plainAddress(entries.slice(-trustedHops)[0] ?? peer)
}

/**
 * How many of the last entries of a request are those of trusted proxies, which are known by their addresses: one
 * for the peer, and one more for each entry that is itself a trusted proxy, from the newest on.
 *
 * @param headers - name, value, name, value
 * @param isTrusted - whether an address, in its one spelling, is that of a trusted proxy. The peer is one.
 */
export function countTrustedHops(
  headers: readonly string[],
  isTrusted: (address: string) => boolean,
  trustedHeader: TrustedHeader,
): number {
  const entries = proxyEntries(headers, trustedHeader) ?? []
  let hops = 1
  while (hops < entries.length) {
    const address = plainAddress(entries.at(-hops) ?? '')
    if (address === undefined || !isTrusted(address)) break
    hops += 1
  }
  return hops
}

/** What proxies have written of who connected, the newest last; undefined: it cannot be read. */
function proxyEntries(headers: readonly string[], name: TrustedHeader): string[] | undefined {
  const values: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const found = headers[at] ?? ''
    if (found.length === name.length && found.toLowerCase() === name) {
      values.push(headers[at + 1] ?? '')
    }
  }
  const value = values.join(', ')
  if (name === 'x-forwarded-for') return listItems(value)
  return forwardedElements(value)?.map((one) => one.for ?? 'unknown')
}
