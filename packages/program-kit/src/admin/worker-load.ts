/** What a worker, one of several processes of a server, is doing. */
export interface WorkerLoad {
  /** Its number, from 1. */
  readonly worker: number
  /** Its process id. */
  readonly pid: number
  /** Visitors that are connected to it. */
  readonly visitors: number
  /** Resident memory. */
  readonly memoryBytes: number
  /** Share of the time in which its event loop was busy since the last request for this, 0 to 1. */
  readonly load: number
  /** How late its event loop was in that time, the 99th percentile, ms. */
  readonly delayMs: number
}
