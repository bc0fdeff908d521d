export { Session } from './session.ts'
export type { CloseOptions, SessionEvents } from './session.ts'
export type { SessionEnd } from './lifecycle.ts'
export type { SessionStats } from './session-stats.ts'

export type { Channel } from './channel.ts'
export type { ChannelSink } from './channel-sink.ts'
export { ChunkUse } from './chunk-use.ts'
export type { ChunkAnswer, ChunkHolder } from './chunk-use.ts'
export type { MuxStream } from './mux-stream.ts'
export { WindowBudget } from './window-budget.ts'

export { DEFAULTS, resolveOptions } from './options.ts'
export type { Clock, ResolvedSessionOptions, SessionOptions } from './options.ts'

export { isMuxError, MUX_ERRORS, MuxError } from './errors.ts'
export type { MuxErrorCode, MuxErrorDetails, MuxErrorInfo } from './errors.ts'
