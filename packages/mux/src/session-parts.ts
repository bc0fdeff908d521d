import type { ChunkUse } from './chunk-use.ts'
import type { MuxError } from './errors.ts'
import type { ResolvedSessionOptions } from './options.ts'
import type { Pings } from './pings.ts'
import type { SendQueue } from './send-queue.ts'
import type { Session } from './session.ts'
import type { StreamTable } from './stream-table.ts'
import type { Sweep } from './sweep.ts'
import type { WindowBudget } from './window-budget.ts'

/** What the parts of one session know of each other. */
export interface SessionParts {
  readonly session: Session
  readonly options: ResolvedSessionOptions
  readonly output: SendQueue
  readonly pings: Pings
  readonly table: StreamTable
  readonly sweep: Sweep
  readonly budget: WindowBudget
  readonly chunk: ChunkUse
  /** Ends the session because of `error`, with a last GoAway where its code says so. */
  readonly fail: (error: MuxError) => void
}
