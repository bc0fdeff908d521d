// docs/visitor-errors.md prints the words for each code; here its table is compared with the code.
import { readFileSync } from 'node:fs'

import { expect, test } from 'vitest'

import { VISITOR_WORDING } from '../../src/index.ts'

const PAGE = new URL('../../../../docs/visitor-errors.md', import.meta.url)

test('the page has a row for each code', () => {
  const rows = [...readFileSync(PAGE, 'utf8').matchAll(/^\| `(\w+)` +\|(.*)\|$/gm)].map(
    ([, code = '', rest = '']) => [code, ...rest.split('|').map((cell) => cell.trim())],
  )
  const expected = Object.entries(VISITOR_WORDING).map(([code, { title, what, part, owner }]) => [
    code,
    what === '' ? `${title}.` : `${title}. ${what}`,
    part,
    owner,
  ])
  expect(rows).toEqual(expected)
})
