// docs/visitors.md lists every answer; here its table is compared with the code.
import { readFileSync } from 'node:fs'
import { DENIAL_CODES } from '@proj/auth'
import { expect, test } from 'vitest'

const PAGE = readFileSync(new URL('../../../docs/visitors.md', import.meta.url), 'utf8')

test('docs/visitors.md lists every refusal with its status and text', () => {
  const rows = [...PAGE.matchAll(/^\| (\d{3}) +\| `(\w+)` +\| (.*?) +\|/gm)].map(
    ([, status, code, error]) => [code, { status: Number(status), error }],
  )
  expect(Object.fromEntries(rows)).toEqual(DENIAL_CODES)
})
