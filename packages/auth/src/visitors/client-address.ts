import { plainAddress } from '@proj/config/address'
import { listItems } from '@proj/http1'

/**
 * The address of a visitor, by the rule of X-Forwarded-For: trusted proxies wrote the last `trustedHops` of
 * its entries, and the first of those is the client. The entries before cannot be trusted; without trusted
 * proxies the client is the peer of the connection.
 *
 * @param headers - name, value, name, value
 * @param peer - address of the connection's other end
 * @returns the address in its one spelling, or undefined when a proxy wrote something else.
 */
export function clientAddress(
  headers: readonly string[],
  peer: string,
  trustedHops: number,
): string | undefined {
  if (trustedHops === 0) return peer
  const entries: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? ''
    if (name.length === 15 && name.toLowerCase() === 'x-forwarded-for') {
      entries.push(...listItems(headers[at + 1] ?? ''))
    }
  }
  return plainAddress(entries.slice(-trustedHops)[0] ?? peer)
}
