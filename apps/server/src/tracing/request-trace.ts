import type { TraceForService } from '@proj/http1'
import type { TraceContext } from '@proj/program-kit'

/** Where a request is in its trace. */
export interface RequestTrace {
  /** Of the server's span; there is none where it is not sampled. */
  readonly own: TraceContext
  /** Undefined: the trace begins here. */
  readonly parent: TraceContext | undefined
  /** What the service gets, also where nothing is sampled: it is told so. */
  readonly forService: TraceForService
}
