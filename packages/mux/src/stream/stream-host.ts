/**
 * What a stream needs of its session, and nothing else: the stream's code knows these interfaces and
 * not the session, so imports go one way, from `session/` to `stream/`.
 */
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import type { MuxError } from '../errors.ts'
import type { SendQueue } from '../frame/send-queue.ts'
import type { ChunkAnswer, ChunkUse } from '../lent-memory.ts'
import type { SessionLimits } from '../limits.ts'
import type { WindowBudget } from './window-budget.ts'

/** The session of a channel, as the user of the channel sees it: see `Session`. */
export interface ChannelSession {
  /** What the session was made over, for its addresses; only the session may read or write it. */
  readonly transport: Duplex
  /** The last round trip that was measured, ms; undefined before the first. */
  readonly lastRttMs: number | undefined
  /** Hands what is queued to the transport now; true when nothing that may be sent is left. */
  flush(): boolean
  /** Sends a ping and resolves with its round trip in ms. Rejects when the session ends first. */
  ping(options?: { readonly signal?: AbortSignal }): Promise<number>
  /** Calls `act` when all pieces of the transport's current chunk are delivered. */
  afterChunk(act: () => ChunkAnswer): ChunkAnswer
  /** Ends the session and its transport now, without a last frame; its streams fail. */
  destroy(cause?: Error): void
}

/** The session of a stream, as the stream sees it. */
export interface StreamHost {
  readonly session: ChannelSession
  readonly options: SessionLimits & { readonly clock: Clock }
  readonly output: SendQueue
  readonly budget: WindowBudget
  readonly chunk: ChunkUse
  readonly pings: {
    readonly isLongPath: boolean
    readonly windowRttMs: number | undefined
    probe(nowMs: number): void
  }
  readonly bulk: {
    /** Credit of `bytes` was granted or received, `elapsedMs` after the one before on the same stream. */
    credited(bytes: number, elapsedMs: number, nowMs: number): void
  }
  readonly sweep: {
    /** Makes sure that timeouts are checked; returns when that is next due. */
    arm(): number
  }
  readonly table: {
    /** Times a stream of the session had data and no credit. */
    stalls: number
    /** Forgets a stream that closed. */
    remove(stream: { readonly id: number; readonly acknowledged: boolean }): void
  }
  /** Ends the session because of `error`, with the GoAway that its code asks for. */
  fail(error: MuxError): void
}
