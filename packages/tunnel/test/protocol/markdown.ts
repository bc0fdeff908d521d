// Tables of a Markdown page, for tests that compare them with the code.

/** The tables below a heading of any level, up to the next heading; rows of trimmed cells. */
export function tablesBelow(page: string, heading: string): string[][][] {
  const lines = page.split('\n')
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading)
  if (start < 0) throw new Error(`no heading ${heading}`)
  const tables: string[][][] = []
  let rows: string[][] | undefined
  for (const line of lines.slice(start + 1)) {
    if (/^#+ /.test(line)) break
    if (!line.startsWith('|')) {
      rows = undefined
      continue
    }
    if (rows === undefined) {
      rows = []
      tables.push(rows)
    }
    rows.push(
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  }
  return tables.map((table) => table.slice(2)) // without the names of the columns and the line below
}
