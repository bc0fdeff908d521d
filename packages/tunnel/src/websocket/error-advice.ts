/**
 * Who should act on each code, and what they can do. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { WebSocketErrorCode } from './errors.ts'

interface Advice {
  /** Who can do something: who writes or runs this program (`developer`), who does so with the peer, who runs the network between them. */
  readonly who: 'developer' | 'peer' | 'network' | 'nobody'
  /** What they can do. */
  readonly hint: string
}

export const WEBSOCKET_ADVICE: Readonly<Record<WebSocketErrorCode, Advice>> = {
  WEBSOCKET_CLOSE_TIMEOUT: {
    who: 'nobody',
    hint: 'connect again; the socket was closed',
  },
  WEBSOCKET_CLOSED: {
    who: 'developer',
    hint: 'stop writing when the pipe ends; connect again',
  },
  WEBSOCKET_FRAME_INVALID: {
    who: 'peer',
    hint: 'make sure that the peer and every proxy on the way speak WebSocket',
  },
  WEBSOCKET_FRAME_RATE_EXCEEDED: {
    who: 'peer',
    hint: 'let the peer send fewer control and empty frames',
  },
  WEBSOCKET_FRAME_TOO_LARGE: {
    who: 'peer',
    hint: 'let the peer send smaller messages',
  },
  WEBSOCKET_PEER_SILENT: {
    who: 'network',
    hint: 'connect again; if it happens often, look for a device that drops idle connections',
  },
  WEBSOCKET_REASON_INVALID: {
    who: 'peer',
    hint: 'correct the peer: a close reason is UTF-8',
  },
  WEBSOCKET_SOCKET_FAILED: {
    who: 'network',
    hint: 'read `cause`, then connect again',
  },
  WEBSOCKET_TEXT_REFUSED: {
    who: 'peer',
    hint: 'let the peer send binary messages; a program that is no agent may be connected',
  },
  WEBSOCKET_TRUNCATED: {
    who: 'network',
    hint: 'connect again; a proxy or a firewall may have cut the connection',
  },
}
