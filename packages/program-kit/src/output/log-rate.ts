/**
 * Bounds what a peer can make a program log. Each kind of event, which is the constant message of its
 * lines, has a rate of its own; what was left out is counted and logged once a minute.
 */

/** Lines of one kind in a minute. Default of `log.rate`: no agent that works reaches it. */
export const LOG_LINES_PER_MINUTE = 600

/** Kinds that are counted apart; those beyond share one count. */
const MAX_KINDS = 256
const OTHER = 'other'

/** Time over which lines are counted, ms. */
const PERIOD_MS = 60_000

interface Kind {
  lines: number
  leftOut: number
}

/** What was left out of one kind. */
export interface LeftOut {
  /** Message of the lines. */
  readonly event: string
  /** How many. */
  readonly lines: number
}

/** Counts lines by kind, and says which may be written. */
export class LogRate implements Disposable {
  readonly #linesPerPeriod: number
  readonly #kinds = new Map<string, Kind>()
  #report: (leftOut: LeftOut) => void = () => {}
  #timer: NodeJS.Timeout | undefined
  #leftOut = 0

  /** @param linesPerMinute - 1 or more; `Infinity`: no limit. Default 600. */
  constructor(linesPerMinute: number = LOG_LINES_PER_MINUTE) {
    this.#linesPerPeriod = linesPerMinute
  }

  /** Lines left out since the start. */
  get leftOut(): number {
    return this.#leftOut
  }

  /** @param report - writes a line about what was left out in the last minute. */
  onReport(report: (leftOut: LeftOut) => void): void {
    this.#report = report
  }

  /** Counts a line. @returns whether it may be written. */
  admits(message: string): boolean {
    if (this.#linesPerPeriod === Infinity) return true
    this.#timer ??= setTimeout(() => this.flush(), PERIOD_MS).unref()
    const kind = this.#kindOf(message)
    kind.lines += 1
    if (kind.lines <= this.#linesPerPeriod) return true
    kind.leftOut += 1
    this.#leftOut += 1
    return false
  }

  /** Logs what was left out until now, and begins a new period. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const kinds = [...this.#kinds]
    this.#kinds.clear()
    for (const [event, { leftOut }] of kinds) {
      if (leftOut > 0) this.#report({ event, lines: leftOut })
    }
  }

  [Symbol.dispose](): void {
    this.flush()
  }

  #kindOf(message: string): Kind {
    const name = this.#kinds.has(message) || this.#kinds.size < MAX_KINDS ? message : OTHER
    let kind = this.#kinds.get(name)
    if (kind === undefined) {
      kind = { lines: 0, leftOut: 0 }
      this.#kinds.set(name, kind)
    }
    return kind
  }
}
