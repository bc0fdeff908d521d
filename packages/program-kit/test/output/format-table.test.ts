import { expect, test } from 'vitest'

import { formatTable } from '../../src/index.ts'

test('aligns columns by their widest cell and ends no line with spaces', () => {
  const rows = [['NAME', 'FROM', 'N'], ['a', '127.0.0.1', '1'], ['longer', '', ''], ['b']]
  expect(formatTable(rows, { indent: 2 })).toBe(
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

test('columns are aligned by what a terminal shows: wide, combining and joined characters', () => {
  const rows = [
    ['NAME', 'STATE'],
    ['数据库', 'online'],
    ['cafe\u0301', 'online'],
    ['👍🏽-up', 'online'],
    ['web', 'online'],
  ]
  expect(formatTable(rows)).toBe(
    'NAME    STATE\n数据库  online\ncafe\u0301    online\n👍🏽-up   online\nweb     online\n',
  )
})

test('a cell is escaped, so that a peer cannot write to the terminal', () => {
  const rows = [['\u009b2J\u202egpj', 'x'], ['line\nline \u001b[31m']]
  expect(formatTable(rows)).toBe(
    `${String.raw`\u009b2J\u202egpj  x`}\n${String.raw`line\u000aline \u001b[31m`}\n`,
  )
})
