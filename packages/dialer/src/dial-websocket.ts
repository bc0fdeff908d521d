import { WebSocket } from 'ws'

import { DialContext } from './dial-context.ts'
import { openRoute } from './dial.ts'
import { holding } from './socket-event.ts'
import { upgrade } from './upgrade.ts'
import { resolveWebSocket, type WebSocketDialOptions } from './websocket-target.ts'

/** What `dialWebSocket` understands besides WebSocketDialOptions. */
export interface ManagedWebSocketOptions extends WebSocketDialOptions {
  /**
   * Longest message accepted, bytes, 1 to 2^31 - 1; a longer one closes the connection with 1009.
   * Protects memory. Default 16 MiB.
   */
  readonly maxPayloadBytes?: number | undefined
  /**
   * Most fragments one message may have; more close the connection with 1008. Default 16 384.
   */
  readonly maxFragments?: number | undefined
}

/** Every default of the options above. */
export const WEBSOCKET_DEFAULTS: Readonly<Record<'maxPayloadBytes' | 'maxFragments', number>> =
  Object.freeze({
    maxPayloadBytes: 16 * 1024 * 1024,
    // The default of ws.
    maxFragments: 16 * 1024,
  })

/**
 * Opens a WebSocket of the package ws. It is open when the promise resolves, without compression;
 * messages that came with the answer are delivered after the caller's first turn, so listeners
 * added right after `await` hear them.
 * @throws {TypeError | RangeError} at once, for a mistake in the arguments
 * @returns rejects with a DialError, or with the reason of the signal
 */
export function dialWebSocket(
  url: string | URL,
  options: ManagedWebSocketOptions = {},
): Promise<WebSocket> {
  const target = resolveWebSocket(url, options)
  const maxPayload = int31(
    'maxPayloadBytes',
    options.maxPayloadBytes ?? WEBSOCKET_DEFAULTS.maxPayloadBytes,
  )
  const maxFragments = int31(
    'maxFragments',
    options.maxFragments ?? WEBSOCKET_DEFAULTS.maxFragments,
  )
  return DialContext.run(target.resolved, async (context, signal) => {
    const socket = await openRoute(context, target.endpoint, target.scheme)
    return holding(socket, async () => {
      const limits = { maxPayload, maxFragments }
      const { websocket } = await upgrade(
        context,
        socket,
        target,
        WebSocket,
        limits,
        (opening: WebSocket, done: (result: undefined) => void) => {
          opening.once('open', () => {
            opening.pause()
            done(undefined)
          })
        },
      )
      signal.throwIfAborted()
      setImmediate(() => websocket.resume())
      return websocket
    })
  })
}

// ws keeps these in 32 bits and takes what does not fit as "no limit".
function int31(name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > 2 ** 31 - 1) {
    throw new RangeError(
      `${name} must be an integer between 1 and 2147483647, got ${String(value)}`,
    )
  }
  return value
}
