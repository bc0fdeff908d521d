import { wrappedRows } from './display-width.ts'

/** What a live screen needs of a terminal; `process.stderr` is one. */
export interface LiveTerminal {
  /** Writes text with its control sequences. */
  write(text: string): unknown
  /** Width; absent or 0: 80. */
  readonly columns?: number
  /** Height; absent or 0: 24. */
  readonly rows?: number
}

/** Rows below the block, for the cursor and for what is typed. */
const FREE_ROWS = 2

/**
 * A block of lines at the end of a terminal that is drawn again in place, with log lines passing above
 * it. It changes no mode of the terminal: whatever ends the program, the terminal is as it was.
 */
export class LiveScreen {
  readonly #terminal: LiveTerminal
  #block: readonly string[] = []

  constructor(terminal: LiveTerminal) {
    this.#terminal = terminal
  }

  /** Width of the block. */
  get columns(): number {
    return sizeOf(this.#terminal.columns, 80)
  }

  /** Most lines the block may have. */
  get maxLines(): number {
    return Math.max(1, sizeOf(this.#terminal.rows, 24) - FREE_ROWS)
  }

  /** Replaces the block, in one write. Lines must not be wider than `columns`; too many are cut. */
  draw(lines: readonly string[]): void {
    const block = lines.slice(0, this.maxLines)
    const rows = block.map((line) => `${line}\u001b[K\n`).join('')
    this.#terminal.write(`${this.#toStart()}${rows}\u001b[J`)
    this.#block = block
  }

  /** Writes whole lines above the block, in one write. */
  print(text: string): void {
    const rows = this.#block.map((line) => `${line}\n`).join('')
    this.#terminal.write(`${this.#toStart()}\u001b[J${text}${rows}`)
  }

  /** Takes the block away. */
  close(): void {
    if (this.#block.length > 0) this.#terminal.write(`${this.#toStart()}\u001b[J`)
    this.#block = []
  }

  /** Moves the cursor to the start of the block. A terminal that became narrower has wrapped its lines. */
  #toStart(): string {
    const { columns } = this
    const rows = this.#block.reduce((sum, line) => sum + wrappedRows(line, columns), 0)
    return rows === 0 ? '\r' : `\r\u001b[${Math.min(rows, sizeOf(this.#terminal.rows, 24) - 1)}A`
  }
}

/** A terminal that was never told its size says 0. */
function sizeOf(told: number | undefined, usual: number): number {
  return told === undefined || told < 1 ? usual : told
}
