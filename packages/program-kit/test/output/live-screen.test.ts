import { expect, test } from 'vitest'

import { LiveScreen } from '../../src/output/live-screen.ts'

/** A terminal of 10 columns that understands as much as the screen writes, without scrolling. */
class Terminal {
  columns = 10
  rows = 8
  writes = 0
  readonly grid: string[] = ['']
  #row = 0

  write(text: string): void {
    this.writes += 1
    for (const [, up, clear, plain] of text.matchAll(
      // oxlint-disable-next-line no-control-regex -- control sequences are what is looked for
      /\u001b\[(\d+)A|\u001b\[([KJ])|([^\u001b])/gs,
    )) {
      if (up !== undefined) this.#row -= Number(up)
      else if (clear === 'J') this.grid.splice(this.#row, Infinity, '')
      else if (plain === '\n') this.#row += 1
      else if (plain === '\r') this.#overwrite = true
      else if (plain !== undefined) this.#put(plain)
      if (plain === '\n') this.#overwrite = true
      this.grid[this.#row] ??= ''
    }
  }

  #overwrite = false

  #put(plain: string): void {
    this.grid[this.#row] = this.#overwrite ? plain : `${this.grid[this.#row]}${plain}`
    this.#overwrite = false
  }
}

test('a block is drawn again in place, longer or shorter, in one write', () => {
  const terminal = new Terminal()
  const screen = new LiveScreen(terminal)
  screen.draw(['one', 'two'])
  screen.draw(['ONE', 'TWO', 'three'])
  expect(terminal.grid).toEqual(['ONE', 'TWO', 'three', ''])
  screen.draw(['last'])
  expect(terminal.grid).toEqual(['last', ''])
  expect(terminal.writes).toBe(3)
})

test('log lines pass above it', () => {
  const terminal = new Terminal()
  const screen = new LiveScreen(terminal)
  screen.print('before\n')
  screen.draw(['block'])
  screen.print('log 1\nlog 2\n')
  screen.draw(['BLOCK'])
  expect(terminal.grid).toEqual(['before', 'log 1', 'log 2', 'BLOCK', ''])
  screen.close()
  screen.close()
  expect(terminal.grid).toEqual(['before', 'log 1', 'log 2', ''])
})

test('it is never higher than the terminal', () => {
  const terminal = new Terminal()
  const screen = new LiveScreen(terminal)
  screen.draw(Array.from({ length: 20 }, (_, line) => `${line}`))
  expect(terminal.grid.slice(0, 6)).toEqual(['0', '1', '2', '3', '4', '5'])
  expect(terminal.grid).toHaveLength(7)
})

test('lines that were wrapped by a narrower terminal are counted, colours are not', () => {
  const writes: string[] = []
  const terminal = { columns: 10, rows: 24, write: (text: string) => writes.push(text) }
  const screen = new LiveScreen(terminal)
  screen.draw(['\u001b[31m1234567890\u001b[39m', 'short'])
  terminal.columns = 5
  screen.draw([])
  expect(writes.at(-1)).toBe('\r\u001b[3A\u001b[J')
})

test('a terminal that does not tell its size is an old one', () => {
  for (const size of [{}, { columns: 0, rows: 0 }]) {
    const screen = new LiveScreen({ ...size, write: () => {} })
    expect([screen.columns, screen.maxLines]).toEqual([80, 22])
  }
})
