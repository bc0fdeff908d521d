/**
 * Which requests are upgrades. The protocol is the service's business, so any is carried, in any
 * letter case, but for one: after an upgrade to h2c a visitor would send further requests that
 * nobody between him and the service reads, with forwarding headers of his own making. RFC 9113
 * took h2c back and lets a server ignore the offer, so the request goes on as plain HTTP/1.1.
 */

import { listItems } from './header-list.ts'

/**
 * Returns the protocols a message offers or switches to, or undefined if it is no upgrade.
 * @param upgrade - value of Upgrade
 * @param isNamed - whether Connection names Upgrade
 */
export function upgradeOf(
  upgrade: string | undefined,
  isNamed: boolean,
  versionMinor: 0 | 1,
): string | undefined {
  // RFC 9110 section 7.8: a server must ignore Upgrade in an HTTP/1.0 request.
  if (upgrade === undefined || !isNamed || versionMinor === 0) return undefined
  const protocols = listItems(upgrade.toLowerCase())
  return protocols.length === 0 || protocols.includes('h2c') ? undefined : upgrade
}
