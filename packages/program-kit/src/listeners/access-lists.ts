import { formatAddressBlock } from '@proj/config/address'

import type { ListenerSettings } from './listener-settings.ts'

/** Access lists as portcheck takes them. */
export interface AccessLists {
  /** Absent: everybody. */
  readonly allow: readonly string[] | undefined
  /** Beats `allow`. */
  readonly deny: readonly string[]
}

/** Who may connect, as portcheck takes it. */
export function accessLists({
  allow,
  deny,
}: Pick<ListenerSettings, 'allow' | 'deny'>): AccessLists {
  return { allow: allow?.map(formatAddressBlock), deny: deny.map(formatAddressBlock) }
}
