import type { BoundAddress } from '@proj/portcheck'

/** Whether an address can be reached from another machine. */
export function isPublic({ endpoints }: BoundAddress): boolean {
  return endpoints.some(({ host }) => host !== '::1' && !host.startsWith('127.'))
}
