import type { EventEmitter } from 'node:events'

import { WebSocket } from 'ws'

import { type DialLimit, limitOf } from '../limit.ts'
import { checkOptionNames, type OptionNames } from '../option-names.ts'

import { DialContext } from '../dial-context.ts'
import { openRoute } from '../dial.ts'
import { holding } from '../socket-event.ts'
import { upgrade } from './upgrade.ts'
import {
  resolveWebSocket,
  WEBSOCKET_OPTION_NAMES,
  type WebSocketDialOptions,
} from './websocket-target.ts'

/** What a message and a control frame can hold. */
type Payload = string | Uint8Array | ArrayBuffer

/**
 * An open WebSocket: an object of the package `ws`, with its events `message` (data, isBinary), `close` (code,
 * reason), `error`, `ping` and `pong`. It has all that `ws` documents; `as WebSocket`, with the type of
 * `@types/ws`, shows the rest to a compiler.
 */
export interface ManagedWebSocket extends EventEmitter {
  /** 1 while it is open, 2 while it closes, 3 when it is closed. */
  readonly readyState: 0 | 1 | 2 | 3
  /** Subprotocol that the server chose; empty: none. */
  readonly protocol: string
  /** Extensions of the connection: none, as nothing is compressed. */
  readonly extensions: string
  /** Address that was dialed. */
  readonly url: string
  /** Bytes that were sent and are still in memory. */
  readonly bufferedAmount: number
  /** Whether reading is stopped. */
  readonly isPaused: boolean
  /** Sends a message, text for a string; `onSent` is called when it was written. */
  send(data: Payload, onSent?: (error?: Error) => void): void
  /** Sends a ping; a `pong` event follows. */
  ping(data?: Payload): void
  /** Sends a pong that was not asked for. */
  pong(data?: Payload): void
  /** Begins the closing handshake; `close` follows. */
  close(code?: number, reason?: string | Buffer): void
  /** Destroys the connection. */
  terminate(): void
  /** Stops to read: TCP makes the peer wait. */
  pause(): void
  /** Reads again. */
  resume(): void
}

/** Options of `dialWebSocket`. Defaults and ranges of its numbers are in WEBSOCKET_LIMITS. */
export interface ManagedWebSocketOptions extends WebSocketDialOptions {
  /**
   * Longest message, bytes; a longer one closes the connection with 1009. Limits memory.
   */
  readonly maxPayloadBytes?: number | undefined
  /**
   * Most fragments of one message; more close the connection with 1008.
   */
  readonly maxFragments?: number | undefined
}

/** Options of `dialWebSocket` and of the reports. */
export const MANAGED_OPTION_NAMES: OptionNames<ManagedWebSocketOptions> = {
  ...WEBSOCKET_OPTION_NAMES,
  maxPayloadBytes: true,
  maxFragments: true,
}

// ws keeps these numbers in 32 bits and treats a larger one as no limit.
const INT31 = { min: 1, max: 2 ** 31 - 1, orInfinity: false } as const

/** Default and range of every option of `dialWebSocket` that is a number. */
export const WEBSOCKET_LIMITS: Readonly<Record<'maxPayloadBytes' | 'maxFragments', DialLimit>> =
  Object.freeze({
    maxPayloadBytes: { default: 16 * 1024 * 1024, ...INT31 },
    // The default of ws.
    maxFragments: { default: 16 * 1024, ...INT31 },
  })

/**
 * Opens a WebSocket of the package ws, without compression. It is open when the promise resolves.
 * Messages that arrived with the response are emitted after the next turn of the event loop, so
 * listeners that are added directly after `await` get them.
 * @throws {TypeError | RangeError} at once, for a wrong argument
 * @returns rejects with a DialError, or with the reason of the signal
 */
export function dialWebSocket(
  url: string | URL,
  options: ManagedWebSocketOptions = {},
): Promise<ManagedWebSocket> {
  checkOptionNames('', options, MANAGED_OPTION_NAMES)
  const target = resolveWebSocket(url, options)
  const maxPayload = integer('maxPayloadBytes', options.maxPayloadBytes)
  const maxFragments = integer('maxFragments', options.maxFragments)
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

function integer(name: keyof typeof WEBSOCKET_LIMITS, value: number | undefined): number {
  const chosen = limitOf(name, value, WEBSOCKET_LIMITS[name])
  if (Number.isInteger(chosen)) return chosen
  throw new RangeError(`${name} must be an integer, got ${chosen}`)
}
