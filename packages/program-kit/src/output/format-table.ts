import { escapeUnprintable } from '@proj/config'

import { displayWidth, padToWidth } from './display-width.ts'

const GAP = '  '

/** Options of {@link formatTable}. */
export interface TableOptions {
  /** Spaces before each row. @default 0 */
  readonly indent?: number
  /** Widest that a cell makes its column; a wider cell shifts the rest of its row. @default Infinity */
  readonly maxWidth?: number
}

/**
 * Writes rows of text in aligned columns, without lines around them, so that they can be read, cut
 * and searched. Cells are escaped: most of them have text that a peer sent.
 *
 * @param rows - cells by row; a row may have fewer cells than others, and its last one, behind which
 *   nothing comes, then makes no column wider
 * @returns lines, each with its end; nothing is at the end of a line
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  { indent = 0, maxWidth = Infinity }: TableOptions = {},
): string {
  const escaped = rows.map((row) => row.map(escapeUnprintable))
  const columns = Math.max(0, ...escaped.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(
      ...escaped.map((row) => {
        const isLoose = column === row.length - 1 && row.length < columns
        return isLoose ? 0 : Math.min(maxWidth, displayWidth(row[column] ?? ''))
      }),
    ),
  )
  return escaped
    .map((row) => {
      const cells = row.map((cell, column) => padToWidth(cell, widths[column] ?? 0))
      return `${' '.repeat(indent)}${cells.join(GAP)}`.trimEnd()
    })
    .map((line) => `${line}\n`)
    .join('')
}
