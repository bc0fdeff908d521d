import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'

import { WebSocket } from 'ws'

import { DialContext } from '../dial-context.ts'
import { openRoute } from '../dial.ts'
import { checkOptionNames } from '../option-names.ts'
import { holding } from '../socket-event.ts'
import { upgrade } from './upgrade.ts'
import {
  resolveWebSocket,
  WEBSOCKET_OPTION_NAMES,
  type WebSocketDialOptions,
} from './websocket-target.ts'

/** Result of dialRawWebSocket. */
export interface RawWebSocket {
  /** The connection without framing: the caller reads and writes WebSocket frames. */
  readonly socket: Duplex
  /** Bytes that arrived together with the response: the start of the server's frames. */
  readonly head: Buffer
  /** Headers of the 101. */
  readonly headers: IncomingHttpHeaders
}

/**
 * Opens a WebSocket and returns its connection without framing, for callers with their own frame
 * codec. ws sends the request and checks the response (status, Upgrade, Sec-WebSocket-Accept,
 * subprotocol, no extension); after that ws is not used.
 * @throws {TypeError | RangeError} at once, for a wrong argument
 * @returns rejects with a DialError, or with the reason of the signal
 */
export function dialRawWebSocket(
  url: string | URL,
  options: WebSocketDialOptions = {},
): Promise<RawWebSocket> {
  checkOptionNames('', options, WEBSOCKET_OPTION_NAMES)
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
          // ws emits this only if a new version no longer calls setSocket.
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
 * ws calls `setSocket` after its checks of the 101, to start its receiver. To override this method is
 * the only way to get the socket; a test fails if ws changes it.
 */
class HandshakeOnly extends WebSocket {
  handover: ((result: Handover) => void) | undefined

  setSocket(socket: Duplex, head: Buffer): void {
    this.handover?.({ socket, head })
  }
}
