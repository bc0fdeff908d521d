/**
 * Who should act on each code, and what they can do. For docs/reference/errors: no program reads it, so it is in no bundle.
 */
import type { MuxErrorCode } from './errors.ts'

interface Advice {
  /** Who can do something: who writes or runs this program (`developer`), who does so with the peer, who runs the network between them. */
  readonly who: 'developer' | 'peer' | 'network' | 'nobody'
  /** What they can do. */
  readonly hint: string
}

export const MUX_ADVICE: Readonly<Record<MuxErrorCode, Advice>> = {
  MUX_ACCEPT_BACKLOG: {
    who: 'developer',
    hint: 'add a `stream` listener, or iterate the session, before the peer opens streams; `acceptBacklog` is the limit',
  },
  MUX_ACK_BACKLOG: {
    who: 'developer',
    hint: 'wait until the peer has taken some streams, then open more',
  },
  MUX_ACK_TIMEOUT: {
    who: 'peer',
    hint: 'find out why the peer accepts no streams: it is overloaded, or nothing listens to its session',
  },
  MUX_CALLBACK_FAILED: {
    who: 'developer',
    hint: 'correct the callback that is in the stack of `cause`',
  },
  MUX_CONTROL_BACKLOG: {
    who: 'peer',
    hint: 'find out why the peer does not read: it is overloaded or halted; then make a new session',
  },
  MUX_CONTROL_FLOOD: {
    who: 'peer',
    hint: 'let the peer send data in larger frames, and open streams that it uses',
  },
  MUX_CREDIT_OVERFLOW: {
    who: 'peer',
    hint: 'correct how the peer counts its window',
  },
  MUX_FRAME_INVALID: {
    who: 'peer',
    hint: 'make sure that the peer speaks yamux on this connection, and that nothing on the way changes bytes',
  },
  MUX_FRAME_UNEXPECTED: {
    who: 'peer',
    hint: 'correct the peer: it has lost count of its streams',
  },
  MUX_GOAWAY_RECEIVED: {
    who: 'nobody',
    hint: 'open the stream on another session; the peer shuts down',
  },
  MUX_HALF_CLOSED_TIMEOUT: {
    who: 'peer',
    hint: 'let the peer end its side, or raise the time for half-closed streams',
  },
  MUX_KEEPALIVE_TIMEOUT: {
    who: 'network',
    hint: 'make a new session; if it happens often, look for a device that drops idle connections',
  },
  MUX_PING_BACKLOG: {
    who: 'developer',
    hint: 'wait for the responses to earlier pings',
  },
  MUX_PING_FLOOD: {
    who: 'peer',
    hint: 'let the peer ping less often',
  },
  MUX_QUEUE_FULL: {
    who: 'developer',
    hint: 'stop writing when write() returns false, and go on at `drain`',
  },
  MUX_SESSION_ABORTED: {
    who: 'developer',
    hint: 'make a new session if the abort was not intended',
  },
  MUX_SESSION_CLOSED: {
    who: 'developer',
    hint: 'make a new session',
  },
  MUX_SESSION_DESTROYED: {
    who: 'developer',
    hint: 'make a new session',
  },
  MUX_STREAM_ABORTED: {
    who: 'developer',
    hint: 'open a new stream if the reset was not intended',
  },
  MUX_STREAM_ENDED: {
    who: 'developer',
    hint: 'write before end()',
  },
  MUX_STREAM_ID_INVALID: {
    who: 'peer',
    hint: 'correct how the peer numbers its streams: odd for a client, even for a server, rising',
  },
  MUX_STREAM_IDS_EXHAUSTED: {
    who: 'developer',
    hint: 'make a new session',
  },
  MUX_STREAM_LIMIT: {
    who: 'developer',
    hint: 'end streams that are not used, or raise the limit of open streams',
  },
  MUX_STREAM_RESET: {
    who: 'peer',
    hint: 'look at the peer: `reason` says why, if it gave one',
  },
  MUX_STREAM_VIOLATED: {
    who: 'peer',
    hint: 'correct the peer: it may not send on a stream that it has ended',
  },
  MUX_TRANSPORT_CLOSED: {
    who: 'network',
    hint: 'make a new session',
  },
  MUX_TRANSPORT_FAILED: {
    who: 'network',
    hint: 'read `cause`, then make a new session',
  },
  MUX_WINDOW_EXCEEDED: {
    who: 'peer',
    hint: 'correct how the peer counts its credit',
  },
}
