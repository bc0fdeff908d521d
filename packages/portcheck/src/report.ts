// The result of `probe` and `explain`: plain data that can be written as JSON.
import type { Endpoint } from './endpoint.ts'
import type { Holder } from './holders/holder.ts'
import type { Warning } from './warnings.ts'

/**
 * Whether the bind would succeed. `unknown`: the attempt failed for a reason that is not about the port
 * (a limit of file descriptors, a sandbox); do not treat it as busy.
 */
export type BindVerdict =
  | 'free'
  | 'busy'
  | 'denied'
  | 'no-address'
  | 'no-family'
  | 'bad-address'
  | 'unknown'

/** The result of `probe` and `explain`. */
export interface Report {
  /** The address as it was given. */
  readonly want: string
  /** The sockets that `listen` would open, also when the bind fails. */
  readonly endpoints: readonly Endpoint[]
  /** The result of the real bind. */
  readonly bind: BindVerdict
  /** Error code of the platform when `bind` is not `free`. */
  readonly errno?: string
  /** The endpoint whose bind failed. */
  readonly failed?: Endpoint
  /** The sockets that hold the port; only from `explain`, and can be empty although the port is busy. */
  readonly holders: readonly Holder[]
  /** Facts about the port that a user may not expect. */
  readonly warnings: readonly Warning[]
  /** When the port is busy: up to three free ports after it; only from `explain`. */
  readonly alternatives?: readonly number[]
  /** `certain` when the kernel gave the result, `guess` when the attempt itself failed. */
  readonly confidence: 'certain' | 'guess'
  /** The platform, as in `process.platform`. */
  readonly platform: NodeJS.Platform
  /** Duration, ms. */
  readonly tookMs: number
}
