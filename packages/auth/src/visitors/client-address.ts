import { plainAddress } from '@proj/config/address'
import { listItems } from '@proj/http1'

/**
 * The address of whoever asks, by the rule of X-Forwarded-For: of its entries the last `trustedHops` were
 * written by proxies of our own, and the first of those names the client. Everything before is hearsay,
 * and without such proxies all of it is: then the peer of the connection is the client.
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
