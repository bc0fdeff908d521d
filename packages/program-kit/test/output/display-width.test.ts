import { expect, test } from 'vitest'

import {
  cutToWidth,
  displayWidth,
  padToWidth,
  wrappedRows,
} from '../../src/output/display-width.ts'

test.for([
  ['', 0],
  ['web', 3],
  ['数据库', 6],
  ['cafe\u0301', 4],
  ['👩‍🔬', 2],
  ['🇨🇿', 2],
  ['\u001b[31mred\u001b[39m', 3],
] as const)('%j takes %i columns', ([text, width]) => {
  expect(displayWidth(text)).toBe(width)
  expect(padToWidth(text, 8)).toBe(text + ' '.repeat(8 - width))
  expect(padToWidth(text, 0)).toBe(text)
})

test.for([
  ['abcdef', 6, 'abcdef'],
  ['abcdef', 5, 'abcd…'],
  ['数据库', 6, '数据库'],
  ['数据库', 5, '数据…'],
  ['数据库', 4, '数…'],
  ['数据库', 1, '…'],
  ['ae\u0301b', 2, 'a…'],
  ['a👩‍🔬b', 3, 'a…'],
  ['a👩‍🔬bc', 4, 'a👩‍🔬…'],
] as const)('%j cut to %i columns is %j', ([text, width, cut]) => {
  expect(cutToWidth(text, width)).toBe(cut)
  expect(displayWidth(cutToWidth(text, width))).toBeLessThanOrEqual(width)
})

test.for([
  ['', 10, 1],
  ['1234567890', 5, 2],
  ['数据库', 6, 1],
  ['数据库', 5, 2],
  ['数据库', 3, 3],
  ['\u001b[31m数据\u001b[39m', 4, 1],
] as const)('%j takes, on a terminal of %i columns, %i rows', ([line, columns, rows]) => {
  expect(wrappedRows(line, columns)).toBe(rows)
})
