import type { Channel } from '@proj/mux'

import { RESET_REASONS } from '../protocol/reset-reason.ts'
import { LAST_BYTES_MS } from './linger-socket.ts'

/**
 * Resets a channel behind the bytes of the service that are queued for it, as far as they leave within LAST_BYTES_MS.
 * The reason is `serviceReset` in place of `serviceClosed` when they do not: the service took a request that it answered
 * with them, and the far side, which may have nothing of the answer, is not to send that request again.
 *
 * @param reason - number of the reason behind all of the bytes.
 */
export function resetBehindAnswer(channel: Channel, reason: number): void {
  const { serviceClosed, serviceReset } = RESET_REASONS
  channel.resetWhenSent(reason, LAST_BYTES_MS, reason === serviceClosed ? serviceReset : reason)
}
