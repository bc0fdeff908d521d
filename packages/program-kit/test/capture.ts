import { Writable } from 'node:stream'

/** An output that keeps what is written; a terminal when it has columns. */
export class Capture extends Writable {
  text = ''
  readonly isTTY: boolean
  readonly columns: number

  constructor(columns = 0) {
    super({ decodeStrings: false })
    this.columns = columns
    this.isTTY = columns > 0
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk
    done()
  }
}
