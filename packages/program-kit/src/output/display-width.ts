/**
 * Widths on a terminal. A letter of a Chinese name takes two columns, a combining mark none, and an
 * emoji of several code points two: the length of a string says nothing about any of them.
 */
import stringWidth from 'string-width'

/** Splits a text into what is displayed as one character. */
const GRAPHEMES = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** Everything a terminal shows in one column per character. */
const ASCII = /^[\u0020-\u007e]*$/

/** Columns a text takes; sequences for colours take none. */
export function displayWidth(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text)
}

/** Fills a text up with spaces to a width; a wider one stays as it is. */
export function padToWidth(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)))
}

/** Cuts a text without colours that is wider than `width` and ends it with an ellipsis. */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let cut = ''
  let used = 1 // of the ellipsis
  for (const { segment } of GRAPHEMES.segment(text)) {
    used += displayWidth(segment)
    if (used > width) break
    cut += segment
  }
  return `${cut}…`
}

/**
 * Rows that one line takes on a terminal. A character of two columns is not split: where one column is
 * left at the end of a row, it goes to the next row.
 */
export function wrappedRows(line: string, columns: number): number {
  const width = displayWidth(line)
  if (width <= columns) return 1
  if (ASCII.test(line)) return Math.ceil(width / columns)
  let rows = 1
  let used = 0
  // oxlint-disable-next-line no-control-regex -- control sequences take no room
  for (const { segment } of GRAPHEMES.segment(line.replaceAll(/\u001b\[[0-9;]*m/g, ''))) {
    const more = displayWidth(segment)
    if (used + more > columns) {
      rows += 1
      used = 0
    }
    used += more
  }
  return rows
}
