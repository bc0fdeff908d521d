import { WebSocketPipeError } from './errors.ts'

/** What a Writable calls its callbacks with. */
export type Done = (error?: Error | null) => void

/** Hands on what a write's end reports, with the socket's error as one of ours. */
export function wrapFailure(done: Done): Done {
  return (cause) => done(cause ? socketFailed(cause) : null)
}

/** The error of a pipe whose socket failed, or was closed without a word. */
export function socketFailed(cause?: Error): WebSocketPipeError {
  const what =
    cause === undefined ? 'closed underneath the WebSocket pipe' : `failed: ${cause.message}`
  return new WebSocketPipeError(
    'WEBSOCKET_SOCKET_FAILED',
    `the connection ${what}`,
    cause === undefined ? undefined : { cause },
  )
}
