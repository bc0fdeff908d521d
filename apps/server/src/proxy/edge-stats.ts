/** A status has three digits. */
const STATUSES = 1000

/** Counts of the edge since the start. */
export class EdgeStats {
  /** Requests whose head was read. */
  requests = 0
  /** Exchanges running now. */
  inFlight = 0
  /** Connections that switched protocols and are open. */
  upgraded = 0
  /** Bytes received from visitors and sent to them. */
  bytesIn = 0
  bytesOut = 0
  readonly #byStatus: number[] = Array.from({ length: STATUSES }, () => 0)

  /** Counts an answer, ours or a service's. */
  countStatus(status: number): void {
    this.#byStatus[status] = (this.#byStatus[status] ?? 0) + 1
  }

  /** Answers by status, of those that were given. */
  get statuses(): ReadonlyMap<number, number> {
    return new Map([...this.#byStatus.entries()].filter(([, count]) => count > 0))
  }
}
