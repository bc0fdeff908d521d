import type { Duplex } from 'node:stream'

import { WebSocket } from 'ws'

import { DialContext } from './dial-context.ts'
import { openRoute } from './dial.ts'
import { holding } from './socket-event.ts'
import { type RawWebSocket, upgrade } from './upgrade.ts'
import { resolveWebSocket, type WebSocketDialOptions } from './websocket-target.ts'

/**
 * Opens a WebSocket and hands its connection over unframed, for callers with a frame codec of their
 * own. ws sends the request and checks the answer (status, Upgrade, Sec-WebSocket-Accept,
 * subprotocol; no extension was offered, so none may be used); then it is out of the way.
 * @throws {TypeError | RangeError} at once, for a mistake in the arguments
 * @returns rejects with a DialError, or with the reason of the signal
 */
export function dialRawWebSocket(
  url: string | URL,
  options: WebSocketDialOptions = {},
): Promise<RawWebSocket> {
  const target = resolveWebSocket(url, options)
  return DialContext.run(target.resolved, async (context, signal) => {
    const socket = await openRoute(context, target.endpoint, target.scheme)
    return holding(socket, async () => {
      const { result, headers } = await upgrade(
        context,
        socket,
        target,
        HandshakeOnly,
        {},
        (websocket: HandshakeOnly, done: (result: Handover) => void) => {
          websocket.handover = done
          // ws would be open only if it no longer called setSocket.
          websocket.once('open', () => websocket.emit('error', new Error('ws kept the socket')))
        },
      )
      signal.throwIfAborted()
      return { ...result, headers }
    })
  })
}

type Handover = Pick<RawWebSocket, 'socket' | 'head'>

/**
 * ws calls `setSocket` once the 101 is validated, to start its receiver. Taking the call over is the
 * only way to get at the socket; a test fails loudly should ws change it.
 */
class HandshakeOnly extends WebSocket {
  handover: ((result: Handover) => void) | undefined

  setSocket(socket: Duplex, head: Buffer): void {
    this.handover?.({ socket, head })
  }
}
