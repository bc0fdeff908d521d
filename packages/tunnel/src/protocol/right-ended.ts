import type { Session } from '@proj/mux'

import { abortable } from '../abortable.ts'
import type { ControlChannel } from './control-channel.ts'
import { TunnelError } from '../errors.ts'

/** Time a peer has to hear that its right is over, ms; then it is cut in any case. */
export const RIGHT_ENDED_MS = 1_000

/**
 * Ends a session whose right is over, at the server: says why, lets the peer take note, and closes.
 * Whatever runs on the session then is cut when RIGHT_ENDED_MS have passed.
 *
 * @param code - of the GoAway.
 */
export async function endRight(
  session: Session,
  control: ControlChannel,
  reason: string,
  code: number,
): Promise<void> {
  const signal = AbortSignal.timeout(RIGHT_ENDED_MS)
  control.send({ type: 'ended', reason })
  control.end()
  try {
    // A GoAway may overtake what stands in the control stream.
    await abortable(control.closed, signal)
    await session.close({ signal, code })
  } catch {
    session.abort(code)
  }
}

/** The same as the peer hears it: there is no use in coming back with the same credentials. */
export function rightEnded(reason: string): TunnelError {
  return new TunnelError('TUNNEL_UNAUTHORIZED', `the server ended the session: ${reason}`)
}
