/** Between two columns. */
const GAP = '  '

/**
 * Writes rows of text in aligned columns, without lines around them, so that they can be read, cut
 * and searched.
 *
 * @param rows - cells by row; a row may have fewer cells than others, and its last one, behind which
 *   nothing comes, then makes no column wider.
 * @param indent - spaces before each row. Default 0.
 * @returns lines, each with its end; nothing is at the end of a line.
 */
export function formatTable(rows: readonly (readonly string[])[], indent = 0): string {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(
      ...rows.map((row) => {
        const isLoose = column === row.length - 1 && row.length < columns
        return isLoose ? 0 : (row[column]?.length ?? 0)
      }),
    ),
  )
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => cell.padEnd(widths[column] ?? 0))
      return `${' '.repeat(indent)}${cells.join(GAP)}`.trimEnd()
    })
    .map((line) => `${line}\n`)
    .join('')
}
