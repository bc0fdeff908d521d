// What `probe` and `explain` answer. Plain data: it goes to JSON as it is.
import type { Endpoint } from './endpoint.ts'
import type { Holder } from './holder.ts'
import type { Warning } from './warnings.ts'

/**
 * Whether the bind would succeed. `unknown` means the attempt failed for a reason that is not about
 * the port (descriptor limits, sandboxes): never treat it as busy.
 */
export type BindVerdict =
  | 'free'
  | 'busy'
  | 'denied'
  | 'no-address'
  | 'no-family'
  | 'bad-address'
  | 'unknown'

/** The answer of `probe` and `explain`. */
export interface Report {
  /** The want as it was written. */
  readonly want: string
  /** The sockets that listening would open here, or would have to open when the bind fails. */
  readonly endpoints: readonly Endpoint[]
  /** What the real bind said. */
  readonly bind: BindVerdict
  /** The platform's error code behind a verdict that is not `free`. */
  readonly errno?: string
  /** The endpoint whose bind failed. */
  readonly failed?: Endpoint
  /** Who holds the port; filled by `explain`, and possibly empty although the port is busy. */
  readonly holders: readonly Holder[]
  /** What would surprise a user although, or because, the bind answered as it did. */
  readonly warnings: readonly Warning[]
  /** When busy, `explain` names up to three free ports that follow. */
  readonly alternatives?: readonly number[]
  /** `certain` where the verdict came from the kernel, `guess` where the attempt itself failed. */
  readonly confidence: 'certain' | 'guess'
  /** The platform the answer was found on, as `process.platform` names it. */
  readonly platform: NodeJS.Platform
  /** How long the answer took, in milliseconds. */
  readonly tookMs: number
}
