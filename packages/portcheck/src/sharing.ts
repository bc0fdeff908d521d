// SO_REUSEPORT: several sockets of one user may have one port. With equal addresses the kernel deals
// connections out among them; with unequal ones the more specific address gets them all, and a
// listener may end up with none, without any error.
import { isIPv4 } from 'node:net'

import { type Endpoint, formatEndpoint, isWildcard } from './endpoint.ts'
import { findHolders } from './find-holders.ts'
import { describeHolder, type Holder } from './holder.ts'
import { isHeld } from './is-held.ts'
import { type Warning, type WarningCode, warning } from './warnings.ts'

type SharingCode = Extract<WarningCode, 'PC102' | 'PC103' | 'PC104' | 'PC105' | 'PC106'>

/** Warns about sockets that share the port with `endpoints`, which ask for SO_REUSEPORT. */
export async function sharingWarnings(endpoints: readonly Endpoint[]): Promise<Warning[]> {
  const found: Warning[] = []
  for (const endpoint of endpoints) {
    if (endpoint.port === 0 || !(await isHeld(endpoint))) continue
    const holders = (await findHolders(endpoint.port)) ?? []
    for (const holder of holders) {
      if (holder.state !== 'listening' || holder.relation === 'self') continue
      const code = sharingCode(endpoint, { ...holder, dual: await isDual(holder, holders) })
      if (code !== undefined) found.push(sharingWarning(code, endpoint, holder))
    }
  }
  return found
}

/** What sharing means for `own`, measured on Linux; undefined when the two do not meet. */
export function sharingCode(
  own: Endpoint,
  holder: Pick<Endpoint, 'host' | 'dual'>,
): SharingCode | undefined {
  const { host } = holder
  if (own.host === host && own.dual === holder.dual) return 'PC105'
  const meets = own.dual || holder.dual || isIPv4(own.host) === isIPv4(host)
  if (!meets) return undefined
  if (own.dual) return host === '0.0.0.0' ? 'PC104' : 'PC102'
  // A dual-stack holder gets all of IPv6 before an IPv6-only wildcard does.
  if (own.host === '::' && holder.dual) return 'PC106'
  if (isWildcard(own.host)) return isWildcard(host) ? 'PC103' : 'PC102'
  return isWildcard(host) ? 'PC103' : undefined
}

/**
 * The socket table does not tell `::` with IPv4 from `::` without; a trial bind of all IPv4 does.
 * Beside an IPv4 listener, which fails that bind too, `::` is taken for the half of a pair.
 */
async function isDual(holder: Holder, all: readonly Holder[]): Promise<boolean> {
  if (holder.host !== '::' || all.some((other) => isIPv4(other.host))) return false
  return await isHeld({ host: '0.0.0.0', port: holder.port, dual: false })
}

function sharingWarning(code: SharingCode, own: Endpoint, holder: Holder): Warning {
  const texts: Record<SharingCode, string> = {
    PC102: 'part of your connections goes to another program',
    PC103: 'you would take connections away from another program',
    PC104: 'no IPv4 connection would reach you',
    PC105: 'connections are dealt out between you and another program',
    PC106: 'no connection at all would reach you',
  }
  return warning(
    code,
    `${texts[code]}: ${describeHolder(holder)} shares ${formatEndpoint(own)} by SO_REUSEPORT`,
    code === 'PC105' ? 'nothing to do if that program is one of yours' : 'use another port',
    { endpoint: formatEndpoint(own), holder },
  )
}
