import { expect, test } from 'vitest'

import { formatTable } from '../../src/index.ts'

test('aligns columns by their widest cell and ends no line with spaces', () => {
  const rows = [['NAME', 'FROM', 'N'], ['a', '127.0.0.1', '1'], ['longer', '', ''], ['b']]
  expect(formatTable(rows, 2)).toBe(
    `  NAME    FROM       N
  a       127.0.0.1  1
  longer
  b
`,
  )
})

test('no rows are no text', () => {
  expect(formatTable([])).toBe('')
})

test('a last cell with nothing behind it makes no column wider', () => {
  const rows = [
    ['a', 'b', 'c'],
    ['', 'a note that is longer than the column'],
    ['aa', 'bb', 'c'],
  ]
  expect(formatTable(rows)).toBe(
    'a   b   c\n    a note that is longer than the column\naa  bb  c\n',
  )
})
