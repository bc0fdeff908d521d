import type { Socket } from 'node:net'

import type { Channel } from '@proj/mux'
import { SocketSplice } from '@proj/tunnel/io'

import type { EdgeContext } from './edge-context.ts'
import { watchIdle } from './idle-splice.ts'

/**
 * Makes one pipe of a visitor's socket and a stream, after the service switched protocols.
 *
 * @param rest - bytes that came behind the 101.
 * @param held - bytes the visitor had sent before it saw the 101.
 */
export function joinUpgraded(
  edge: EdgeContext,
  channel: Channel,
  socket: Socket,
  rest: Buffer,
  held: Buffer | undefined,
): void {
  let stopWatching = (): void => {}
  edge.stats.upgraded += 1
  const splice = new SocketSplice(channel, {
    resetReason: () => 'consumerGone',
    onClose: () => {
      stopWatching()
      edge.stats.upgraded -= 1
    },
  })
  stopWatching = watchIdle(splice, edge.options.upgradeIdleTimeoutMs, edge.deadlines)
  channel.attach(splice)
  splice.connect(socket)
  if (rest.length > 0) splice.onData(rest)
  if (held === undefined || channel.write(held)) socket.resume()
}
