import { isLoopback } from '@proj/config/address'
import type { BoundAddress } from '@proj/portcheck'

/** Whether an address can be reached from another machine. */
export function isPublic({ endpoints }: BoundAddress): boolean {
  return endpoints.some(({ host }) => !isLoopback(host))
}
