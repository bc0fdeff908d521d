/** How agents are spread over the nodes again after a node has joined. */
export interface RebalanceOptions {
  /** How much more than the average a node may have, as a fraction; 0: nothing is moved. */
  readonly threshold: number
  /** Sessions to move in one second, as a fraction of the average. */
  readonly shedRate: number
  /** With fewer sessions a node moves none. */
  readonly minConns: number
}

/** What is balanced. */
export interface RebalanceParts {
  /** Agent sessions of this node. */
  readonly sessions: () => number
  /** Agent sessions of each other node that takes agents; those that leave or do not answer are left out. */
  readonly others: () => readonly number[]
  /** Asks agents to connect elsewhere. @returns how many were asked. */
  readonly move: (count: number) => number
}

/** How often the nodes are compared, ms. */
const LOOK_MS = 1_000

/** Asks agents of a node with many to connect again, a few in each second, until it has as many as the others. */
export class Rebalancer implements Disposable {
  readonly #options: RebalanceOptions
  readonly #parts: RebalanceParts
  readonly #timer: NodeJS.Timeout | undefined
  /** Part of a session that is due: with few sessions one is moved every few seconds. */
  #due = 0

  constructor(options: RebalanceOptions, parts: RebalanceParts) {
    this.#options = options
    this.#parts = parts
    if (options.threshold === 0) return
    this.#timer = setInterval(() => this.look(LOOK_MS), LOOK_MS)
    this.#timer.unref() // it does not keep the process alive
  }

  /**
   * Compares once, and asks the agents that are due.
   *
   * @param ms - time since the last look.
   */
  look(ms: number): void {
    const { threshold, shedRate, minConns } = this.#options
    const own = this.#parts.sessions()
    const others = this.#parts.others()
    const average = others.reduce((sum, one) => sum + one, own) / (others.length + 1)
    const isMany = others.length > 0 && own >= minConns && own > average * (1 + threshold)
    if (!isMany) {
      this.#due = 0
      return
    }
    this.#due += (average * shedRate * ms) / 1_000
    const count = Math.min(Math.floor(this.#due), Math.floor(own - average))
    if (count > 0) this.#due -= this.#parts.move(count)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
