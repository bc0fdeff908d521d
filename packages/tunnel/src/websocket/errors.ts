/** What can end a WebSocket pipe, one code each. */
export type WebSocketErrorCode =
  | 'WEBSOCKET_CLOSE_TIMEOUT'
  | 'WEBSOCKET_CLOSED'
  | 'WEBSOCKET_FRAME_INVALID'
  | 'WEBSOCKET_FRAME_RATE_EXCEEDED'
  | 'WEBSOCKET_FRAME_TOO_LARGE'
  | 'WEBSOCKET_PEER_SILENT'
  | 'WEBSOCKET_REASON_INVALID'
  | 'WEBSOCKET_SOCKET_FAILED'
  | 'WEBSOCKET_TEXT_REFUSED'
  | 'WEBSOCKET_TRUNCATED'

/** What a code means. */
export interface WebSocketErrorFacts {
  /** What happened, in words for the README. */
  readonly what: string
  /** Whether a new connection may fare better. */
  readonly retryable: boolean
  /** The code of the Close frame sent, or undefined where none is. */
  readonly closeCode: number | undefined
}

/**
 * Every code with what happened, whether a new connection can help, and the close code the peer is
 * told (RFC 6455 section 7.4.1). No close code: nothing is sent, because the peer would not read it or
 * because the pipe had ended already.
 */
export const WEBSOCKET_ERRORS: Readonly<Record<WebSocketErrorCode, WebSocketErrorFacts>> = {
  WEBSOCKET_CLOSE_TIMEOUT: {
    what: 'the peer did not close its side after this side had ended',
    retryable: true,
    closeCode: undefined,
  },
  WEBSOCKET_CLOSED: {
    what: 'bytes were written after the peer had closed the connection',
    retryable: true,
    closeCode: undefined,
  },
  WEBSOCKET_FRAME_INVALID: {
    what: 'the peer sent a frame that RFC 6455 does not allow',
    retryable: true,
    closeCode: 1002,
  },
  WEBSOCKET_FRAME_RATE_EXCEEDED: {
    what: 'the peer sent more control or empty frames per second than the limit',
    retryable: true,
    closeCode: 1008,
  },
  WEBSOCKET_FRAME_TOO_LARGE: {
    what: 'the peer announced a frame larger than the limit',
    retryable: true,
    closeCode: 1009,
  },
  WEBSOCKET_PEER_SILENT: {
    what: 'nothing came from the peer for too long, not even an answer to a ping',
    retryable: true,
    closeCode: undefined,
  },
  WEBSOCKET_REASON_INVALID: {
    what: 'the peer sent a close reason that is not UTF-8',
    retryable: true,
    closeCode: 1007,
  },
  WEBSOCKET_SOCKET_FAILED: {
    what: 'the connection below the pipe failed or was closed underneath it',
    retryable: true,
    closeCode: undefined,
  },
  WEBSOCKET_TEXT_REFUSED: {
    what: 'the peer sent a text message; a pipe carries binary ones only',
    retryable: true,
    closeCode: 1003,
  },
  WEBSOCKET_TRUNCATED: {
    what: 'the connection ended within a message',
    retryable: true,
    closeCode: undefined,
  },
}

/** The one error class of the pipe. */
export class WebSocketPipeError extends Error {
  override readonly name = 'WebSocketPipeError'
  /** Stable, documented in the README. */
  readonly code: WebSocketErrorCode
  /** Whether a new connection may fare better. */
  readonly retryable: boolean
  /** The close code sent to the peer, where one is. */
  readonly closeCode: number | undefined

  constructor(code: WebSocketErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.retryable = WEBSOCKET_ERRORS[code].retryable
    this.closeCode = WEBSOCKET_ERRORS[code].closeCode
  }
}

/** Whether this is a WebSocketPipeError, optionally of one code; also from another copy of the package. */
export function isWebSocketPipeError(
  error: unknown,
  code?: WebSocketErrorCode,
): error is WebSocketPipeError {
  if (!(error instanceof Error) || error.name !== 'WebSocketPipeError' || !('code' in error)) {
    return false
  }
  return code === undefined
    ? Object.hasOwn(WEBSOCKET_ERRORS, String(error.code))
    : error.code === code
}

/** What a Writable calls its callbacks with. */
export type Done = (error?: Error | null) => void

/** Makes a write's callback report the socket's error as a WebSocketPipeError. */
export function wrapFailure(done: Done): Done {
  return (cause) => done(cause ? socketFailed(cause) : null)
}

/** The error of a pipe whose socket failed, or was closed without an error. */
export function socketFailed(cause?: Error): WebSocketPipeError {
  const what =
    cause === undefined ? 'closed underneath the WebSocket pipe' : `failed: ${cause.message}`
  return new WebSocketPipeError(
    'WEBSOCKET_SOCKET_FAILED',
    `the connection ${what}`,
    cause === undefined ? undefined : { cause },
  )
}
