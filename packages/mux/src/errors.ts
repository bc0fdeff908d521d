/**
 * One error class with a code for each failure.
 *
 * Table: the codes with their meaning, what ends with them and the GoAway that is sent.
 */

/** Stable names of failures. Never renamed in a minor version. */
export type MuxErrorCode =
  | 'MUX_ACCEPT_BACKLOG'
  | 'MUX_ACK_BACKLOG'
  | 'MUX_ACK_TIMEOUT'
  | 'MUX_CALLBACK_FAILED'
  | 'MUX_CONTROL_BACKLOG'
  | 'MUX_CONTROL_FLOOD'
  | 'MUX_CREDIT_OVERFLOW'
  | 'MUX_FRAME_INVALID'
  | 'MUX_FRAME_UNEXPECTED'
  | 'MUX_GOAWAY_RECEIVED'
  | 'MUX_HALF_CLOSED_TIMEOUT'
  | 'MUX_KEEPALIVE_TIMEOUT'
  | 'MUX_PING_BACKLOG'
  | 'MUX_PING_FLOOD'
  | 'MUX_QUEUE_FULL'
  | 'MUX_SESSION_ABORTED'
  | 'MUX_SESSION_CLOSED'
  | 'MUX_SESSION_DESTROYED'
  | 'MUX_STREAM_ABORTED'
  | 'MUX_STREAM_ENDED'
  | 'MUX_STREAM_ID_INVALID'
  | 'MUX_STREAM_IDS_EXHAUSTED'
  | 'MUX_STREAM_LIMIT'
  | 'MUX_STREAM_RESET'
  | 'MUX_STREAM_VIOLATED'
  | 'MUX_TRANSPORT_CLOSED'
  | 'MUX_TRANSPORT_FAILED'
  | 'MUX_WINDOW_EXCEEDED'

/** The meaning of a code. */
export interface MuxErrorInfo {
  /** The failure in one sentence. */
  readonly what: string
  /** Whether trying again, on this session or a new one, can succeed. */
  readonly retryable: boolean
  /** What ends with it. */
  readonly ends: 'session' | 'stream' | 'call'
  /** Code of the GoAway sent as the last frame; absent if none is sent. */
  readonly goAway?: number
}

/** Every code with its meaning; the README has the same table. */
export const MUX_ERRORS: Readonly<Record<MuxErrorCode, MuxErrorInfo>> = Object.freeze({
  MUX_ACCEPT_BACKLOG: {
    what: 'the peer opened more streams than `stream` listeners and the iterator accepted',
    retryable: true,
    ends: 'stream',
  },
  MUX_ACK_BACKLOG: {
    what: 'too many streams wait for the peer to acknowledge them',
    retryable: true,
    ends: 'call',
  },
  MUX_ACK_TIMEOUT: {
    what: 'the peer did not acknowledge a stream in time',
    retryable: true,
    ends: 'stream',
  },
  MUX_CALLBACK_FAILED: {
    what: 'a callback threw; `cause` is what it threw',
    retryable: false,
    ends: 'stream',
    goAway: 2,
  },
  MUX_CONTROL_BACKLOG: {
    what: 'too many control frames wait because the peer does not read',
    retryable: false,
    ends: 'session',
  },
  MUX_CONTROL_FLOOD: {
    what: 'the peer sent too many frames that carry nothing',
    retryable: false,
    ends: 'session',
    goAway: 1,
  },
  MUX_CREDIT_OVERFLOW: {
    what: 'the peer granted more credit than 32 bits hold',
    retryable: false,
    ends: 'session',
    goAway: 1,
  },
  MUX_FRAME_INVALID: {
    what: 'the peer sent a frame that the protocol does not allow',
    retryable: false,
    ends: 'session',
    goAway: 1,
  },
  MUX_FRAME_UNEXPECTED: {
    what: 'the peer sent a frame that the state of its stream forbids',
    retryable: false,
    ends: 'session',
    goAway: 1,
  },
  MUX_GOAWAY_RECEIVED: {
    what: 'the peer takes no more streams (code 0) or ended the session (other codes)',
    retryable: true,
    ends: 'call',
  },
  MUX_HALF_CLOSED_TIMEOUT: {
    what: 'we ended our side, and the peer was silent and did not end its own',
    retryable: false,
    ends: 'stream',
  },
  MUX_KEEPALIVE_TIMEOUT: {
    what: 'the peer was silent for longer than a ping may take',
    retryable: true,
    ends: 'session',
  },
  MUX_PING_BACKLOG: {
    what: 'too many of our pings wait for a response',
    retryable: true,
    ends: 'call',
  },
  MUX_PING_FLOOD: {
    what: 'the peer pings more often than allowed',
    retryable: false,
    ends: 'session',
    goAway: 1,
  },
  MUX_QUEUE_FULL: {
    what: 'write() was called too often after it had returned false',
    retryable: false,
    ends: 'call',
  },
  MUX_SESSION_ABORTED: {
    what: 'abort() was called here',
    retryable: true,
    ends: 'session',
  },
  MUX_SESSION_CLOSED: {
    what: 'close() was called here',
    retryable: true,
    ends: 'session',
  },
  MUX_SESSION_DESTROYED: {
    what: 'destroy() was called here',
    retryable: true,
    ends: 'session',
  },
  MUX_STREAM_ABORTED: {
    what: 'reset() was called here, or the stream destroyed',
    retryable: true,
    ends: 'stream',
  },
  MUX_STREAM_ENDED: {
    what: 'write() after end()',
    retryable: false,
    ends: 'call',
  },
  MUX_STREAM_ID_INVALID: {
    what: 'the peer used a stream id that is in use, was used, was never opened or is not its own',
    retryable: false,
    ends: 'session',
    goAway: 1,
  },
  MUX_STREAM_IDS_EXHAUSTED: {
    what: 'all stream ids of the session are used: start a new session',
    retryable: true,
    ends: 'call',
  },
  MUX_STREAM_LIMIT: {
    what: 'the limit of open streams is reached',
    retryable: true,
    ends: 'call',
  },
  MUX_STREAM_RESET: {
    what: 'the peer reset the stream; `reason` is the number it gave, 0 for none',
    retryable: true,
    ends: 'stream',
  },
  MUX_STREAM_VIOLATED: {
    what: 'the peer sent data on a stream that it had ended',
    retryable: false,
    ends: 'stream',
  },
  MUX_TRANSPORT_CLOSED: {
    what: 'the transport ended',
    retryable: true,
    ends: 'session',
  },
  MUX_TRANSPORT_FAILED: {
    what: 'the transport failed; `cause` is its error',
    retryable: true,
    ends: 'session',
  },
  MUX_WINDOW_EXCEEDED: {
    what: 'the peer sent more data than it has credit for',
    retryable: false,
    ends: 'session',
    goAway: 1,
  },
})

/** Further fields of an error. */
export interface MuxErrorDetails extends ErrorOptions {
  /** Reset reason from the wire, for MUX_STREAM_RESET and MUX_STREAM_ABORTED. */
  readonly reason?: number
  /** GoAway code from the wire, for MUX_GOAWAY_RECEIVED. */
  readonly goAwayCode?: number
}

/** A failure of a session, a stream or a call on one of them. */
export class MuxError extends Error {
  override readonly name = 'MuxError'
  /** Stable code; see the table MUX_ERRORS. */
  readonly code: MuxErrorCode
  /** Reset reason given by the side that reset the stream; 0 where none was given. */
  readonly reason: number
  /** Code of the GoAway received; 0 where none was. */
  readonly goAwayCode: number

  constructor(code: MuxErrorCode, message: string, details: MuxErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.code = code
    this.reason = details.reason ?? 0
    this.goAwayCode = details.goAwayCode ?? 0
  }

  /** Whether trying again, on this session or a new one, can succeed. */
  get retryable(): boolean {
    return MUX_ERRORS[this.code].retryable
  }
}

/**
 * Tells whether `error` is a `MuxError`, with `code` where one is given. Works by name, so it also
 * recognises errors of another copy of this package.
 */
export function isMuxError(error: unknown, code?: MuxErrorCode): error is MuxError {
  if (!(error instanceof Error) || error.name !== 'MuxError' || !('code' in error)) return false
  return code === undefined
    ? typeof error.code === 'string' && Object.hasOwn(MUX_ERRORS, error.code)
    : error.code === code
}
