/**
 * Whether a session carries bulk: another stream's bytes wait behind it, here, in the transport and in the
 * kernel, whatever the order of frames is. Who has several sessions to the same peer puts small
 * messages on one that carries none. Credit shows it, which is due once for 128 KiB or more: to count bytes would
 * cost something for each piece.
 */
import type { Clock } from '../clock.ts'

/** A stream that moves at least this much is bulk, bytes per ms: 4 MB/s. */
const BULK_BYTES_PER_MS = 4096
/** How long a session carries bulk after the last credit, ms; twice as long as that took, if that is longer. */
const KEPT_MS = 200
/** It is no longer than this, ms: a large window may take many seconds, and its stream may have ended since. */
const MAX_KEPT_MS = 2_000

/** The bulk of one session. */
export class BulkWatch {
  #untilMs = -Infinity

  /** Credit of `bytes` was granted or received on a stream, `elapsedMs` after the one before. */
  credited(bytes: number, elapsedMs: number, nowMs: number): void {
    if (bytes < elapsedMs * BULK_BYTES_PER_MS) return
    const keptMs = Math.min(Math.max(KEPT_MS, 2 * elapsedMs), MAX_KEPT_MS)
    this.#untilMs = Math.max(this.#untilMs, nowMs + keptMs)
  }

  /** Whether a stream has moved much of late. */
  carriesBulk(clock: Pick<Clock, 'now'>): boolean {
    return this.#untilMs !== -Infinity && clock.now() < this.#untilMs
  }
}
