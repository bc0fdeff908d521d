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
  readonly #statuses = new Map<number, number>()

  /** Counts an answer, ours or a service's. */
  countStatus(status: number): void {
    this.#statuses.set(status, (this.#statuses.get(status) ?? 0) + 1)
  }

  /** Answers by status. Bounded: a status has three digits. */
  get statuses(): ReadonlyMap<number, number> {
    return this.#statuses
  }
}
