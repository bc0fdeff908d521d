import type { Channel } from './stream/channel.ts'
import type { MuxStream as StreamOver } from './stream/mux-stream.ts'

export { Session } from './session/session.ts'
export type { CloseOptions, SessionEvents } from './session/session.ts'
export type { SessionEnd } from './session/lifecycle.ts'
export type { SessionStats } from './session/session-stats.ts'

export type { Channel, StreamCount } from './stream/channel.ts'
export type { ChannelSink } from './stream/channel-sink.ts'
export type { ChannelSession } from './stream/stream-host.ts'
/** One stream of a session, as a Duplex. */
export type MuxStream = StreamOver<Channel>
export { WindowBudget } from './stream/window-budget.ts'

export { ChunkUse } from './lent-memory.ts'
export type { ChunkAnswer, ChunkHolder } from './lent-memory.ts'

export { DEFAULTS } from './limits.ts'
export type { SessionLimits } from './limits.ts'
export type { Clock } from './clock.ts'
export { resolveOptions } from './session/options.ts'
export type { ResolvedSessionOptions, SessionOptions } from './session/options.ts'

export { isMuxError, MUX_ERRORS, MuxError } from './errors.ts'
export type { MuxErrorCode, MuxErrorDetails, MuxErrorInfo } from './errors.ts'
